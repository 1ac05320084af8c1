"""The rows of the tables of questions and answers, by the names of their places."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.answer_figures import (
    ADVICE,
    AFTER_THREE,
    ALONE_BEST,
    COVERAGE,
    EVERY_PLACE,
    FINAL,
    GAIN,
    GOOD,
    LEANER,
    LEFT_OUT,
    NOT_BEHIND,
    OTHER_TOOLS,
    OVER,
    PROXIES,
    READ,
    SHARES,
    SHIPPED,
    STAYS,
    SUMMARY,
    SUPERNET,
    TOOLS,
    TRAINED,
    TRUST,
    lost,
    with_interval,
)
from benchmarks.answers import Answer, At, Said, Texts, table

WITHOUT_MEASUREMENT = (
    Answer(
        "How much does the policy that ships gain on the benchmark that it learned?",
        "Inputs held out of NAS-Bench-201: {all:+.2f} points over all ({all_share:.0f} % of the best reachable), "
        "{good:+.2f} from 90 % on ({good_share:.0f} %), {best:+.2f} from 93 % on ({best_share:.0f} %); one training",
        SHIPPED,
        GAIN,
    ),
    Answer(
        "And on tasks that its training did not see?",
        "{all_least:.0f} % [{all_least_low:.0f}, {all_least_high:.0f}] to {all_most:.0f} % [{all_most_low:.0f}, "
        "{all_most_high:.0f}] of the best gain over all inputs, {good_least:.0f} [{good_least_low:.0f}, "
        "{good_least_high:.0f}] to {good_most:.0f} % [{good_most_low:.0f}, {good_most_high:.0f}] over good ones; the "
        "mean is not below the input in {not_below:.0f} of {of:.0f} places",
        LEFT_OUT,
        {
            **SHARES,
            "not_below": At(SUMMARY, ("mean not below the input",), "places (task, rules, inputs)"),
            "of": At(SUMMARY, ("mean not below the input",), "places (task, rules, inputs)", 1),
        },
    ),
    Answer(
        "In a search space that it does not know?",
        "Inputs stay as they are ({least_kept:.0f} to {most_kept:.0f} % of them), and the mean is not below the input",
        LEFT_OUT,
        STAYS,
    ),
    Answer(
        "Is the probability that it states right?",
        "On `jigsaw` within 0.05 ({jigsaw_said:.2f} predicted, {jigsaw_better:.2f} observed), on two tasks "
        "underconfident over all inputs ({class_object_said:.2f} and {class_object_better:.2f}, "
        "{autoencoder_said:.2f} and {autoencoder_better:.2f})",
        LEFT_OUT,
        TRUST,
    ),
    Answer(
        "Under limits?",
        "Never over one. On NAS-Bench-201 within 0.1 points of the best within the limit in {near:.0f} of {of:.0f} "
        "places; a policy trained on this benchmark under limits alone: 9",
        {**SHIPPED, "budgets": "nasbench201-budgets"},
        {
            "near": Said("home-limits", r"limit in (\d+) of"),
            "of": Said("home-limits", r"of (\d+) places"),
        },
    ),
    Answer(
        "Does a policy need the graph?",
        "Yes: {graph:.0f} % of the best with it ({graph_gain:+.2f} ± {graph_half:.2f} points), {blind:.0f} % without "
        "the wiring ({blind_gain:+.2f} ± {blind_half:.2f}), {paper:.0f} % as published ({paper_gain:+.2f} ± "
        "{paper_half:.2f})",
        {"policies": "nasbench201-policy"},
        {
            f"{name}{part}": At("policies-encoders", (name,), GOOD, number)
            for name in ("graph", "blind", "paper")
            for number, part in enumerate(("_gain", "_half", ""))
        },
    ),
    Answer(
        "How many trained cells does it take to learn one?",
        "500 for {share:.0f} % of the best from 90 % on ({gain:+.2f} ± {half:.2f} points); with 150 and fewer the best "
        "inputs get worse",
        {"policies": "nasbench201-policy"},
        {name: At("policies-cells", ("500",), GOOD, number) for number, name in enumerate(("gain", "half", "share"))},
    ),
    Answer(
        "Does it help networks that are already efficient?",
        "There is next to nothing to gain; with a tenth fewer MACs it loses {ours:.2f} ± {half:.2f} points where the "
        "best by validation loses {best:.2f} (NAS-Bench-Macro, networks of 90 % and more, `nat`)",
        {"lean networks": "lean-networks"},
        {
            "ours": At("lean-nat", ("policy, no query",), "0.9x, ≥ 90", of=lost),
            "half": At("lean-nat", ("policy, no query",), "0.9x, ≥ 90", 1),
            "best": At("lean-nat", ("best by validation",), "0.9x, ≥ 90", of=lost),
        },
    ),
)
WITH_MEASUREMENTS = (
    Answer(
        "Is `nat` with the policy better than searches without it?",
        "On tasks left out, 1 to 30 measurements, {places:.0f} places: ahead in {ahead:.0f}, level in {level:.0f}, "
        "behind in {behind:.0f}, by at most 0.1 points (NAS-Bench-Macro, where there is nothing to gain)",
        LEFT_OUT,
        EVERY_PLACE,
    ),
    Answer(
        "From scratch?",
        "Level with `surrogate`; with up to 100 measurements no policy is learned",
        {"few queries": "few-queries", "strategies": "strategies"},
    ),
    Answer(
        "On an architecture of one's own, on shared weights?",
        "On digits no strategy is better than another once the result is trained; on MobileNetV2 ahead of evolution by "
        "{ahead:.1f} ± {half:.1f} points at 40 measurements, level at 120",
        {"own architecture": "own-architecture"},
        {
            name: At("own-mobilenetv2-digits", ("evolution",), "`nat` ahead, points, 40", number)
            for number, name in enumerate(("ahead", "half"))
        },
    ),
    Answer(
        "In NNI, by the number of trained models?",
        "What 10 models have with the policy no other strategy reaches in 50, in five of six groups of inputs; in the "
        "sixth hill climbing takes {needed:.0f}",
        {"NNI": "nni"},
        {"needed": At("nni-needed", ("CIFAR-10, ≥ 93",), "hill climbing")},
    ),
    Answer(
        "Are the spaces of NNI's hub read exactly?",
        "{unchanged:.0f} of {samples:.0f} random samples come back unchanged, {exact:.0f} with exact costs",
        {"NNI": "nni"},
        {
            name: At("nni-spaces", (), column, of=sum)
            for name, column in (("samples", "samples"), ("unchanged", "back unchanged"), ("exact", "cost exact"))
        },
    ),
)
WITHOUT_ACCURACIES = (
    Answer(
        "Does a search on shared weights find better networks?",
        "With real training of three candidates: {trained:+.2f} ± {trained_half:.2f} points of {reachable:+.2f} from "
        "90 % on, {final:+.2f} ± {final_half:.2f} from 93 % on. A gain without real training was not reached from 93 % "
        "on ({alone:+.2f} ± {alone_half:.2f}), because shared weights are biased: "
        "[what they can tell](../explanation/shared-weights.md)",
        {"supernet rewards": "supernet-rewards"},
        {
            **TRAINED,
            **ALONE_BEST,
            **{name: At(SUPERNET, (FINAL,), "≥ 93", number) for number, name in enumerate(("final", "final_half"))},
        },
    ),
    Answer(
        "Do scores without training find better networks?",
        "They tell broken ones from sound ones. What they alone proposed differs from DARTS_V2 by {value:+.1f} points "
        "[{low:+.1f}, {high:+.1f}]",
        {"proxies": "proxies"},
        {
            name: At(PROXIES, ("input",), "proposed against it, 95 %", number)
            for number, name in enumerate(("value", "low", "high"))
        },
    ),
    Answer(
        "Do they help a critic in spaces that it does not know?",
        "It ranks better there, worse where it knows the space; one seed",
        {"critic with proxies": "critic-proxies"},
    ),
    Answer(
        "Is the gain of the paper at equal cost reproduced on DARTS cells?",
        "Not reproduced: trained for 8 epochs on 8,000 images, neither `nat` nor random search found better than the "
        "input ({value:+.2f} points [{value_low:+.2f}, {value_high:+.2f}] at 0.8 of its cost)",
        {"DARTS": "darts-cifar10"},
        with_interval("value", At("darts-cifar10", ("nat, 0.8x",), "against the input, 95 %")),
    ),
)
PRETRAINED = (
    Answer(
        "Which models can be read, how far can they shrink, is the count exact?",
        "All {names:.0f} convolutional names are read, {exact:.0f} counted exactly; {reach:.0f} reach 0.6 of their "
        "MACs",
        COVERAGE,
        READ,
    ),
    Answer(
        "What does a trained model lose?",
        "MnasNet {less8:+.2f} ± {half8:.2f} points at {macs8:.2f} of the MACs, {less6:+.2f} ± {half6:.2f} at "
        "{macs6:.2f}, "
        "all fine-tuned alike",
        {"made leaner": "timm-leaner"},
        LEANER,
    ),
    Answer(
        "Against other tools, with no training?",
        "MobileNetV2 at 0.8 of its MACs: {macs:.0f} % top-1 of {original:.0f} over {splits:.0f} splits, level with a "
        "knapsack over single changes ({knapsack:+.1f} points, p = {knapsack_p:.2f}); on the same "
        "pictures Torch-Pruning and FastNAS ({fastnas_splits:.0f} split) are {macs_behind:.0f} points behind or more "
        "(p ≤ {macs_p:.0e}). At 0.8 of its "
        "latency {latency:.0f} %, Torch-Pruning {latency_behind:.0f} points behind (p = {latency_p:.0e})",
        OTHER_TOOLS,
        TOOLS,
    ),
    Answer(
        "Can an operation take the place of a block without training?",
        "A fitted 3x3 in the place of one block of MobileNetV2 lost nothing; other blocks are not measured",
        {"fitted": "timm-fitted"},
    ),
    Answer(
        "Does the advice rank moves rightly?",
        "Of 40 moves of MobileNetV2, each fine-tuned alone: rank correlation {rank:.2f} [{low:.2f}, {high:.2f}] with "
        "the top-1 lost",
        {"advice": "advice"},
        {
            name: At(ADVICE, ("top-1, tuned",), "change of the output, as advised", number)
            for number, name in enumerate(("rank", "low", "high"))
        },
    ),
)
SPEED = (
    Answer(
        "How long do the parts take?",
        "{cells:,.0f} cells are transformed in {seconds:.1f} s by a policy without a critic; a step of the supernet "
        "takes {step:.2f} [{step_low:.2f}, {step_high:.2f}] of one of the fixed network",
        {"speed": "speed"},
        {
            "cells": Said("speed-cpu", r"transform of ([\d,]+) cells"),
            "seconds": Said("speed-cpu", r"everything included \| ([\d.]+) s"),
            **with_interval("step", At("speed-cpu", ("training step: supernet, same path",), "ratio")),
        },
    ),
    Answer(
        "What do several workers win?",
        "On two cores two workers take {two:.1f} s for lines that one takes {one:.1f} s for; they take seconds to "
        "begin, so that a run of seconds gains nothing",
        {"scale": "scale"},
        {
            "two": At("scale", ("local", "2"), "lines of a stream: s"),
            "one": At("scale", ("local", "1"), "lines of a stream: s"),
        },
    ),
    Answer(
        "And what is lost when they die?",
        "Nothing: {runs:.0f} runs on three engines ended with the same bytes while {workers:.0f} workers were killed, "
        "and the command {commands:.0f} times",
        {"faults": "faults"},
        {
            name: At("chaos", (), column, of=sum)
            for name, column in (("runs", "runs"), ("workers", "workers killed"), ("commands", "commands killed"))
        },
    ),
    Answer(
        "Do several devices learn what one does?",
        "In float64 no loss differs by more than {most:.1e}; in float32 by as much as rounding alone makes of it",
        {"several devices": "devices"},
        {"most": At("training-devices", (), "two devices", of=max)},
    ),
)
README = (
    Answer(
        "The policy that ships, with no measurement?",
        "cells of NAS-Bench-201 that reach 90 % and more gain {good:.2f} points, {good_share:.0f} % of what the rules "
        "allow (trained once)",
        {"policy": "shipped-policy"},
        GAIN,
    ),
    Answer(
        "On tasks that its training did not see?",
        "{all_least:.0f} % [{all_least_low:.0f}, {all_least_high:.0f}] to {all_most:.0f} % [{all_most_low:.0f}, "
        "{all_most_high:.0f}] of the largest possible gain, by task [95 % intervals]; with 1 to 30 measurements it "
        "beats or ties every search without the policy in {fine:.0f} of {places:.0f} comparisons",
        LEFT_OUT,
        {**SHARES, **EVERY_PLACE, "fine": NOT_BEHIND},
    ),
    Answer(
        "In a search space that it does not know?",
        "it leaves architectures as they are; after 3 measurements {three:.0f} % of the largest possible gain, "
        "{three_ahead:.0f} percentage points [{three_ahead_low:.0f}, {three_ahead_high:.0f}] more than "
        "without the policy",
        LEFT_OUT,
        AFTER_THREE,
    ),
    Answer(
        "A search on shared weights?",
        "if its 3 best candidates are trained in full, architectures of 90 % and more gain {trained:.2f} ± "
        "{trained_half:.2f} points of {reachable:.2f} possible; **without that the best ones get worse** ({alone:+.2f} "
        "± {alone_half:.2f})",
        {"supernets": "supernet-rewards"},
        TRAINED | ALONE_BEST,
    ),
    Answer(
        "A trained timm model?",
        "MnasNet, accuracy against the original after the same fine-tuning: at {macs8:.2f} of its MACs {less8:+.2f} ± "
        "{half8:.2f} points, at {macs6:.2f} {less6:+.2f} ± {half6:.2f}",
        {"timm": "timm-leaner"},
        LEANER,
    ),
    Answer(
        "Against pruning tools, with no training?",
        "MobileNetV2 with {original:.0f} % top-1 keeps {macs:.0f} % at 0.8 of its MACs and {latency:.0f} % at 0.8 of "
        "its latency ({splits:.0f} splits), as much as a knapsack over single changes (p = {knapsack_p:.2f}). "
        "Torch-Pruning and FastNAS ({fastnas_splits:.0f} split) keep at least {macs_behind:.0f} points less at "
        "those MACs (p ≤ {macs_p:.0e}), Torch-Pruning {latency_behind:.0f} less at that latency",
        OTHER_TOOLS,
        TOOLS,
    ),
    Answer(
        "Which timm models?",
        "all {names:.0f} convolutional names are read and counted exactly; {reach:.0f} can reach 0.6 of their MACs",
        COVERAGE,
        READ,
    ),
    Answer(
        "Is a limit ever exceeded?",
        "no: {over:.0f} of {results:,.0f} results under limits on MACs and on measured latency",
        {"budgets": "nasbench201-budgets"},
        OVER,
    ),
)
PLACES_OF: Mapping[str, tuple[tuple[Answer, ...], str]] = {
    "answers-without-measurement": (WITHOUT_MEASUREMENT, ""),
    "answers-with-measurements": (WITH_MEASUREMENTS, ""),
    "answers-without-accuracies": (WITHOUT_ACCURACIES, ""),
    "answers-pretrained": (PRETRAINED, ""),
    "answers-speed": (SPEED, ""),
    "answers-readme": (README, "docs/evidence/"),
}
"""By name: the answers, and the folder of their pages from where the table stands."""


def answers(texts: Texts) -> dict[str, str]:
    """``texts``: the tables of all results."""
    return {name: table(rows, texts, folder) for name, (rows, folder) in PLACES_OF.items()}
