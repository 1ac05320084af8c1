"""The rows of README.md's table of questions and answers."""

from __future__ import annotations

from benchmarks.answer_figures import (
    AFTER_THREE,
    ALONE_BEST,
    COVERAGE,
    EVERY_PLACE,
    GAIN,
    LEANER,
    LEFT_OUT,
    NOT_BEHIND,
    OTHER_TOOLS,
    OVER,
    READ,
    SHARES,
    TOOLS,
    TRAINED,
)
from benchmarks.answers import Answer

README = (
    Answer(
        "The policy that ships, with no measurement?",
        "cells of NAS-Bench-201 that reach 90 % and more gain {good:.2f} points, {good_share:.0f} % of what the rules "
        "allow (trained once, so without an interval)",
        {"policy": "policy-nasbench201"},
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
        {"supernets": "supernet-nasbench201"},
        TRAINED | ALONE_BEST,
    ),
    Answer(
        "A trained timm model?",
        "MnasNet, accuracy against the original after the same fine-tuning: at {macs8:.2f} of its MACs {less8:+.2f} ± "
        "{half8:.2f} points, at {macs6:.2f} {less6:+.2f} ± {half6:.2f}",
        {"timm": "timm-compact"},
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
        {"budgets": "policy-budgets"},
        OVER,
    ),
)
