"""The rows of the tables of questions and answers, by the names of their places."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.answer_figures import (
    ADVICE,
    ALONE_BEST,
    BEST,
    COVERAGE,
    DEPLOYED,
    EVERY_PLACE,
    FINAL,
    FITTED,
    GAIN,
    GOOD,
    IMAGES,
    LEANER,
    LEARNING,
    LEFT_OUT,
    MOVED,
    OTHER_TOOLS,
    OVER,
    OWN,
    PROPOSAL,
    PROXIES,
    READ,
    SCRATCH,
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
from benchmarks.readme_questions import README

WITHOUT_MEASUREMENT = (
    Answer(
        "How much does the policy that ships gain on the benchmark that it learned?",
        "Inputs held out of NAS-Bench-201: {all:+.2f} points over all ({all_share:.0f} % of the best reachable), "
        "{good:+.2f} from 90 % on ({good_share:.0f} %), {best:+.2f} from 93 % on ({best_share:.0f} %); no intervals, "
        "since it is of one training",
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
        "Inputs stay as they are ({least_kept:.0f} to {most_kept:.0f} % of them); the mean gain is nowhere below zero, "
        "and {most:+.2f} points [{most_low:+.2f}, {most_high:+.2f}] at most",
        LEFT_OUT,
        STAYS,
    ),
    Answer(
        "Is the probability that it states right?",
        "On `jigsaw` within 0.05 ({jigsaw_said:.2f} predicted, {jigsaw_better:.2f} observed), on two tasks "
        "underconfident over all inputs ({class_object_said:.2f} and {class_object_better:.2f}, {autoencoder_said:.2f} "
        "and {autoencoder_better:.2f}); no intervals, since one policy was trained for each task",
        LEFT_OUT,
        TRUST,
    ),
    Answer(
        "Under limits?",
        "{over:.0f} of {results:,.0f} results are over their limit. On NAS-Bench-201 within 0.1 points of the best "
        "within a limit on MACs in {near:.0f} of {of:.0f} places; no intervals, since it is of one training",
        {**SHIPPED, "budgets": "policy-budgets"},
        {
            **OVER,
            "near": Said("home-limits", r"limit in (\d+) of"),
            "of": Said("home-limits", r"of (\d+) places"),
        },
    ),
    Answer(
        "Does a policy need the graph?",
        "Yes: {graph:.0f} % of the best with it ({graph_gain:+.2f} ± {graph_half:.2f} points), {blind:.0f} % without "
        "the wiring ({blind_gain:+.2f} ± {blind_half:.2f}), {paper:.0f} % as published ({paper_gain:+.2f} ± "
        "{paper_half:.2f})",
        SHIPPED,
        {
            f"{name}{part}": At("policies-encoders", (name,), GOOD, number)
            for name in ("graph", "blind", "paper")
            for number, part in enumerate(("_gain", "_half", ""))
        },
    ),
    Answer(
        "How many trained cells does it take to learn one?",
        "500 for {share:.0f} % of the best from 90 % on ({gain:+.2f} ± {half:.2f} points); with 150 those from 93 % on "
        "get worse ({few:+.2f} ± {few_half:.2f})",
        SHIPPED,
        {
            **{
                name: At("policies-cells", ("500",), GOOD, number)
                for number, name in enumerate(("gain", "half", "share"))
            },
            **{name: At("policies-cells", ("150",), BEST, number) for number, name in enumerate(("few", "few_half"))},
        },
    ),
    Answer(
        "What should it learn from?",
        "From what a critic predicts: {critic:+.2f} ± {critic_half:.2f} points from 90 % on, in place of {reused:+.2f} "
        "± {reused_half:.2f} from measurements that are each used five times, and {once:+.2f} ± {once_half:.2f} where "
        "they are used once",
        {"what it learns from": "policy-learning"},
        LEARNING,
    ),
    Answer(
        "Does it help networks that are already efficient?",
        "There is next to nothing to gain; with a tenth fewer MACs it loses {ours:.2f} ± {half:.2f} points where the "
        "best by validation loses {best:.2f} (NAS-Bench-Macro, networks of 90 % and more, `nat`)",
        {"efficient networks": "policy-macro"},
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
        "Level with `surrogate`: after 120 trials {nat_made_up:.1f} ± {nat_made_up_half:.1f} and "
        "{surrogate_made_up:.1f} ± {surrogate_made_up_half:.1f} on made-up landscapes, {nat_cells:.2f} ± "
        "{nat_cells_half:.2f} and {surrogate_cells:.2f} ± {surrogate_cells_half:.2f} points on NAS-Bench-201. With up "
        "to 100 measurements no policy is learned",
        {"few queries": "search-few-queries", "gain after trials": "search-gains"},
        SCRATCH,
    ),
    Answer(
        "On an architecture of one's own, on shared weights?",
        "On digits no strategy is better than another once the result is trained (the largest difference to `nat` is "
        "{digits:.1f} ± {digits_half:.1f} points); on MobileNetV2 ahead of evolution by {ahead:.1f} ± {ahead_half:.1f} "
        "points at 40 measurements, level at 120 ({level:+.1f} ± {level_half:.1f})",
        {"own architecture": "search-own-architecture"},
        OWN,
    ),
    Answer(
        "In NNI, by the number of trained models?",
        "What 10 models have with the policy no other strategy reaches in 50, in five of six groups of inputs; in the "
        "sixth hill climbing takes {needed:.0f}. Means over 25 inputs, without intervals",
        {"few trained models": "nni-nasbench201"},
        {"needed": At("nni-needed", ("CIFAR-10, ≥ 93",), "hill climbing")},
    ),
    Answer(
        "Are the spaces of NNI's hub read exactly?",
        "{unchanged:.0f} of {samples:.0f} random samples come back unchanged, {exact:.0f} with exact costs",
        {"every space": "nni-spaces"},
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
        {"supernet rewards": "supernet-nasbench201"},
        {
            **TRAINED,
            **ALONE_BEST,
            **{name: At(SUPERNET, (FINAL,), "≥ 93", number) for number, name in enumerate(("final", "final_half"))},
        },
    ),
    Answer(
        "What makes shared weights rank networks better?",
        "The same images for all: rank correlation {same:.2f} ± {same_half:.2f} in place of {other:.2f} ± "
        "{other_half:.2f} (inputs of 90 to 93 %). Training them further on what one input can become makes it worse: "
        "{centred:.2f} ± {centred_half:.2f}",
        {"how rewards are measured": "supernet-ablations"},
        IMAGES,
    ),
    Answer(
        "Do scores without training find better networks?",
        "They tell broken ones from sound ones. What they alone proposed differs from DARTS_V2 by {value:+.1f} points "
        "[{low:+.1f}, {high:+.1f}]",
        {"ranks": "proxies-ranks", "what they propose": "proxies-trained"},
        {
            name: At(PROXIES, ("input",), "proposed against it, 95 %", number)
            for number, name in enumerate(("value", "low", "high"))
        },
    ),
    Answer(
        "Do they help a critic in spaces that it does not know?",
        "It ranks better there, worse where it knows the space; no intervals, since one seed was run",
        {"critic with proxies": "policy-critic-proxies"},
    ),
    Answer(
        "Is the gain of the paper at equal cost reproduced on DARTS cells?",
        "Not reproduced: trained for 8 epochs on 8,000 images, neither `nat` nor random search found better than the "
        "input ({value:+.2f} points [{value_low:+.2f}, {value_high:+.2f}] at 0.8 of its cost)",
        {"DARTS": "search-cifar10"},
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
        "Do moved models load in plain timm, and do what they did?",
        "{equal:.0f} of {moved:.0f} moved networks load there with equal outputs; of {checks:,.0f} checks that unmoved "
        "models pass, moved ones pass {passed:,.0f}",
        {"plain timm": "timm-faithful", "what is still offered": "timm-offers"},
        MOVED,
    ),
    Answer(
        "What does a trained model lose?",
        "MnasNet {less8:+.2f} ± {half8:.2f} points at {macs8:.2f} of the MACs, {less6:+.2f} ± {half6:.2f} at "
        "{macs6:.2f}, "
        "all fine-tuned alike",
        {"made leaner": "timm-compact"},
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
        "In the place of the best block of MobileNetV2 a fitted 3x3 loses nothing ({best:.1f} % top-1), in that of the "
        "worst nearly all ({worst:.1f} %). One split of 400 pictures, without intervals: two points are noise",
        {"fitted": "timm-fits"},
        FITTED,
    ),
    Answer(
        "Is the result faster as it is deployed?",
        "MobileNetV2 for 0.8 of the latency of one picture: {least:.2f} [{least_low:.2f}, {least_high:.2f}] "
        "(onnxruntime) to {most:.2f} [{most_low:.2f}, {most_high:.2f}] of the model's time (PyTorch)",
        {"deployed": "timm-deployed"},
        DEPLOYED,
    ),
    Answer(
        "Does the advice rank moves rightly?",
        "Of 40 moves of MobileNetV2, each fine-tuned alone: rank correlation {rank:.2f} [{low:.2f}, {high:.2f}] with "
        "the top-1 lost",
        {"advice": "timm-advice"},
        {
            name: At(ADVICE, ("top-1, tuned",), "change of the output, as advised", number)
            for number, name in enumerate(("rank", "low", "high"))
        },
    ),
)
SPEED = (
    Answer(
        "How long do the parts take?",
        "{cells:,.0f} cells are transformed in {seconds:.1f} s by a policy without a critic (once, without an "
        "interval); a step of the supernet takes {step:.2f} [{step_low:.2f}, {step_high:.2f}] of one of the fixed "
        "network",
        {"speed": "speed-core"},
        {
            "cells": Said("speed-cpu", r"transform of ([\d,]+) cells"),
            "seconds": Said("speed-cpu", r"everything included \| ([\d.]+) s"),
            **with_interval("step", At("speed-cpu", ("training step: supernet, same path",), "ratio")),
        },
    ),
    Answer(
        "How long does a proposal take?",
        "`nat` {nat_few:.0f} ms after 50 observations and {nat_many:.0f} after 5,000, `surrogate` {surrogate_few:.0f} "
        "and {surrogate_many:.0f}, of processor time; timed once, without intervals",
        {"time of a proposal": "speed-search"},
        PROPOSAL,
    ),
    Answer(
        "What do several workers win?",
        "On two cores two workers take {two:.1f} s for trainings that one takes {one:.1f} s for; they take seconds to "
        "begin, so that a run of seconds gains nothing. Timed once, without intervals",
        {"scale": "scale"},
        {
            "two": At("scale", ("local", "2"), "trainings of a run: s"),
            "one": At("scale", ("local", "1"), "trainings of a run: s"),
        },
    ),
    Answer(
        "And what is lost when they die?",
        "Only what they were at: {runs:.0f} runs on three engines ended with the same bytes while {workers:.0f} "
        "workers were killed, and the command {commands:.0f} times; {lost:.0f} trainings were done again",
        {"faults": "chaos"},
        {
            name: At("chaos", (), column, of=sum)
            for name, column in (
                ("runs", "runs"),
                ("workers", "workers killed"),
                ("commands", "commands killed"),
                ("lost", "results lost on their way"),
            )
        },
    ),
    Answer(
        "Do several devices learn what one does?",
        "In float64 no loss differs by more than {most:.1e}; in float32 by as much as rounding alone makes of it, at a "
        "hundredth of the learning rate by up to {slow:.1e}",
        {"several devices": "training-devices"},
        {
            "most": At("training-devices", (), "two devices", of=max),
            "slow": At("training-devices-float32", (), "two, float32, low rate", of=max),
        },
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
