"""What strategies have gained after so many trials, asked and told one by one, from scratch.

Two kinds of places: made-up landscapes over DARTS cells (``nat++``, MACs 1.0x), and single cells of
NAS-Bench-201, of a fifth that is drawn once and for all (``nat``, validation accuracy on CIFAR-10, which
chooses and is reported). ``nat`` is run as it is planned for the last number of trials and, if that is another, for 40.
Every place has a seed of its own, the same for all strategies; intervals are 95 % over places, by Student's t.

``python -m benchmarks search-gains [--kinds landscapes] [--places N] [--name NAME] [--save]``
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common.files import NB201, find_file
from benchmarks.common.intervals import interval
from benchmarks.common.processes import workers
from benchmarks.common.results import add_result
from benchmarks.spaces.held_out import SPLIT
from benchmarks.spaces.landscapes import landscape
from benchmarks.spaces.nb201 import CELLS, load_space
from benchmarks.spaces.nb201_limits import number_of
from benchmarks.spaces.random_cells import random_darts
from nat_plugin.ir import Budget, Network, find_rule
from nat_plugin.plugins import plugins
from nat_plugin.search.base import Measurement, Strategy, Task

TRIALS = (10, 40, 120, 400)
KINDS = {"landscapes": False, "NAS-Bench-201": True}
"""Of places, and whether they are cells of a table."""
SETTINGS = {"nat": {"policy": "none"}}
"""The landscapes are of no search space that a policy has learned."""
STRATEGIES = {
    "nat": ("nat", TRIALS[-1]),
    "nat, 40 planned": ("nat", 40),
    "surrogate": ("surrogate", TRIALS[-1]),
    "hill_climb": ("hill_climb", TRIALS[-1]),
    "evolution": ("evolution", TRIALS[-1]),
    "random": ("random", TRIALS[-1]),
}


def place_of(table: Path | None, seed: int) -> tuple[Task, Callable[[Network], float]]:
    """Without a table a landscape."""
    if table is None:
        network, rule = random_darts(np.random.default_rng(seed)), find_rule("nat++")
        return Task((network,), rule, Budget.parse({"macs": "1.0x"}), seed), landscape(network, rule, seed)
    space = load_space(table)
    values = space.validation["CIFAR-10"]
    fifth = np.isin(np.arange(CELLS), np.random.default_rng(SPLIT).permutation(CELLS)[: CELLS // 5])
    cells = np.random.default_rng(0).permutation(np.flatnonzero(fifth & space.connected & space.group("≥ 90")))
    network = space.networks[int(cells[seed])]
    return Task((network,), find_rule("nat"), Budget(), seed), lambda each: float(
        values[space.written[number_of(each)]]
    )


def search(table: Path | None, wanted: tuple[str, int]) -> list[float]:
    """The best gain after each of ``TRIALS``, as far as it is planned."""
    torch.set_num_threads(1)
    (named, planned), seed = STRATEGIES[wanted[0]], wanted[1]
    (task, score), kind = place_of(table, seed), plugins().find("strategies", named)
    own, best = score(task.inputs[0]), [0.0]
    strategy: Strategy = kind(
        Task(task.inputs, task.rule, task.budget, seed, planned), kind.Settings(**SETTINGS.get(named, {}))
    )
    while len(best) <= planned and (proposals := strategy.ask(1)):
        value = score(proposals[0].network)
        strategy.tell(proposals[0], Measurement(value, own))
        best.append(max(best[-1], value - own))
    return [best[min(count, len(best) - 1)] if count <= planned else float("nan") for count in TRIALS]


def tables_of(results: Mapping[str, Any]) -> dict[str, str]:
    """Markdown by the name of the place in the documentation."""
    heads = [f"{kind}: {count}" for kind in KINDS for count in TRIALS]
    lines = ["| strategy | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    rows = {}
    for entry, found in results.items():
        for name in {strategy: None for kind in KINDS for strategy in found.get(kind, ())}:
            cells = [_cells(np.array(found[kind][name], float)) if name in found.get(kind, ()) else [""] * len(TRIALS)
                     for kind in KINDS]  # fmt: skip
            rows[name, entry] = [cell for some in cells for cell in some]
    for name in dict.fromkeys(name for name, _ in rows):
        for entry in results:
            if (name, entry) in rows:
                lines.append(f"| {name}, {entry} | " + " | ".join(rows[name, entry]) + " |")
    return {"search-gains": "\n".join(lines)}


def _cells(gains: np.ndarray) -> list[str]:
    """Of gains (places, trials); empty where so many trials were not planned."""
    spans = [interval(each) if np.isfinite(each).all() else None for each in gains.T]
    return ["" if each is None else "{:.2f} ± {:.2f}".format(*each) for each in spans]


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="Of places.")
    parser.add_argument("--places", type=int, default=5, help="Of each kind.")
    parser.add_argument("--strategies", nargs="*", choices=STRATEGIES, default=list(STRATEGIES))
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--name", default="now")


def run(args: argparse.Namespace) -> None:
    figures: dict[str, Any] = {"trials": list(TRIALS)}
    with workers(args.processes) as pool:
        for title in args.kinds:
            table = find_file(args.data, NB201) if KINDS[title] else None
            print(f"\n{title}: {args.places} places\n\n| | " + " | ".join(f"{count}" for count in TRIALS) + " |")
            print("|---" * (len(TRIALS) + 1) + "|")
            figures[title] = {}
            for name in args.strategies:
                asked = [(name, seed) for seed in range(args.places)]
                gains = np.array(list(pool.map(partial(search, table), asked)))
                figures[title][name] = gains.tolist()
                cells = [f"{mean:.2f} ± {half:.2f}" for mean, half in map(interval, gains.T)]
                print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
    add_result(args.results, args.name, figures)
