"""Random samples of every space of NNI's hub: to a network and back, and the costs against torch's counts.

For each sample: it comes back unchanged; the costs of its network are those of the model that NNI freezes, counted on
the meta device; and the same again after a random move under the rules ``nat++``. Prints a table and writes JSON:

    python -m benchmarks nni-spaces --samples 50 --save
"""

from __future__ import annotations

import argparse
import logging
import time
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from nat_nni.export.counting import count_frozen
from nat_nni.framework import load
from nat_nni.mapping import to_network, to_sample

from benchmarks.common.results import add_result
from nat_plugin.ir import Moves, canonical, cost, find_rule, is_connected
from nat_plugin.ir.costs import costs_as_built

CELLS: dict[str, Any] = {"width": (8, 12), "num_cells": (3, 4)}
"""Small, since NNI needs about a second to freeze a cell space of 20 cells."""
SPACES: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("DARTS", "ENAS", "AmoebaNet", "NASNet", "PNAS"), CELLS),
    **dict.fromkeys(("DARTSWithNone", "ENASWithNone", "AmoebaNetWithNone", "NASNetWithNone", "PNASWithNone"), CELLS),
    "NasBench201": {"num_modules_per_stack": 2},
    "NasBench101": {"stem_out_channels": 32, "num_modules_per_stack": 2},
    **{name: {} for name in ("ShuffleNetSpace", "ProxylessNAS", "MobileNetV3Space")},
}


def draw(space: Any, random: np.random.RandomState) -> dict[str, Any]:
    """A sample that the space accepts."""
    refused = load("nni.mutable").SampleValidationError
    while True:
        sample: dict[str, Any] = {}
        try:
            space.random(sample, random)
        except refused:
            continue
        return {label: list(value) if isinstance(value, tuple) else value for label, value in sample.items()}


def check(name: str, samples: int, seed: int) -> dict[str, Any]:
    module = load("nat_nni.spaces" if name.endswith("WithNone") else "nni.nas.hub.pytorch")
    with torch.device("meta"):
        space = getattr(module, name)(**SPACES[name])
    random, generator = np.random.RandomState(seed), np.random.default_rng(seed)
    row: dict[str, Any] = {"space": name, "samples": samples}
    row |= dict.fromkeys(("unchanged", "exact", "unconnected", "moved", "exact_moved"), 0)
    seconds = 0.0
    for _ in range(samples):
        sample = draw(space, random)
        start = time.perf_counter()
        network = to_network(space, sample)
        seconds += time.perf_counter() - start
        row["unchanged"] += to_sample(space, network) == sample
        counted = count_frozen(space, sample, network.input)
        if not is_connected(network):
            row["unconnected"] += 1
            row["exact"] += costs_as_built(network).total == counted
            continue
        dropped = getattr(space, "drops_dead", False)
        row["exact"] += (cost(network) if dropped else costs_as_built(network).total) == counted
        moves = Moves(network, find_rule("nat++"))
        moved = canonical(moves.apply(moves.sample(generator)))
        written = to_sample(space, moved)
        row["moved"] += written != sample
        row["exact_moved"] += count_frozen(space, written, network.input) == cost(moved)
    return {**row, "seconds_to_read": round(seconds / samples, 3)}


def tables_of(results: Mapping[str, Any]) -> dict[str, str]:
    """By space. Moves may lead back to the sample, so that fewer were moved than there are samples."""
    head = ("space", "samples", "back unchanged", "cost exact", "not connected", "moved", "cost exact after the move")
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for entry in results.values():
        for row in entry["rows"]:
            counts = (row[name] for name in ("samples", "unchanged", "exact", "unconnected", "moved", "exact_moved"))
            lines.append("| " + " | ".join([row["space"], *map(str, counts)]) + " |")
    return {"nni-spaces": "\n".join(lines)}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--samples", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--spaces", nargs="+", default=list(SPACES), choices=list(SPACES))


def run(args: argparse.Namespace) -> None:
    warnings.simplefilter("ignore")
    load("nni")
    logging.disable(logging.INFO)
    rows = []
    print("| space | samples | back unchanged | exact | not connected | moved | exact after the move | s to read |")
    print("|---|---|---|---|---|---|---|---|")
    for name in args.spaces:
        row = check(name, args.samples, args.seed)
        rows.append(row)
        print("| " + " | ".join(str(value) for value in row.values()) + " |", flush=True)
        add_result(args.results, "spaces", {"seed": args.seed, "rows": rows})
