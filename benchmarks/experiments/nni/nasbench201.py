"""How many models a search inside NNI needs on NAS-Bench-201, the table as evaluator: NAT with a policy against random
search, hill climbing and evolution over the same moves.

Each search is an NNI strategy on the hub's NasBench201 space and the ``sequential`` engine, from one input. A model is
a trial, the input is the first. What counts after so many models is the best by validation accuracy so far; its gain in
test accuracy over the input is reported too, in points. Inputs are drawn from the fifth of the cells that
was held out of the training of the policy; transformed cells are looked up as NNI would build them. Means over inputs.

``python -m benchmarks nni-nasbench201 [--inputs 100] [--models 100] [--policy FILE] [--save]``
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import nni
import numpy as np
import torch
from nat_nasbench.forms201 import ENDS
from nat_nni import NAT, Evolution, HillClimb, RandomSearch
from nni.nas.evaluator import Evaluator
from nni.nas.execution import SequentialExecutionEngine
from nni.nas.hub.pytorch import NasBench201
from nni.nas.space import RawFormatModelSpace

from benchmarks.common.files import NB201, find_file
from benchmarks.common.results import add_result
from benchmarks.experiments.nni.nasbench201_tables import SHOWN, tables_of
from benchmarks.methods.no_query import load_trained
from benchmarks.spaces.held_out import held_out_by
from benchmarks.spaces.nb201 import DATA, GROUPS, Space, digits_of, load_space, numbers
from nat_plugin.errors import NATError

__all__ = ["add_options", "run", "tables_of"]

Sample: TypeAlias = Mapping[str, Any]
NAMES = ("none", "skip_connect", "conv_1x1", "conv_3x3", "avg_pool_3x3")
LABELS = [f"cell/{source}_{target}" for source, target in ENDS]
STRATEGIES: dict[str, Callable[..., Any]] = {
    "NAT": NAT,
    "hill climbing": HillClimb,
    "evolution": Evolution,
    "random": RandomSearch,
}
GOAL = 10
"""After so many models of ours it is asked how many the others need for as much."""


class Table(Evaluator):  # type: ignore[misc]
    """Reports the validation accuracy of the table; no model is built."""

    def __init__(self, accuracies: np.ndarray) -> None:
        self.accuracies = accuracies

    def _execute(self, model: Any) -> None:
        nni.report_final_result(float(self.accuracies[number(model.sample)]))


def sample(cell: int) -> dict[str, str]:
    return {label: NAMES[digit] for label, digit in zip(LABELS, digits_of(np.array(cell)), strict=True)}


def number(found: Sample) -> int:
    return int(numbers(np.array([NAMES.index(found[label]) for label in LABELS])))


def curve(strategy: Any, accuracies: tuple[np.ndarray, np.ndarray], cell: int, models: int) -> np.ndarray:
    """Gains of the best by validation after 1, 2, … models: (models, [validation, test])."""
    validation, test = accuracies
    strategy(RawFormatModelSpace(NasBench201(), Table(validation)), SequentialExecutionEngine(models))
    found, best = np.zeros((models, 2)), cell
    submitted = [number(model.sample) for model in strategy.list_models(sort=False)]
    for place in range(models):
        if place < len(submitted) and validation[submitted[place]] > validation[best]:
            best = submitted[place]
        found[place] = validation[best] - validation[cell], test[best] - test[cell]
    return found


def needed(curve_of: np.ndarray, gain: float) -> int | None:
    """The first number of models with at least that mean gain; None if it is not reached."""
    reached = np.flatnonzero(curve_of >= gain - 1e-9)
    return int(reached[0]) + 1 if len(reached) else None


def measure(
    table: Space, held: np.ndarray, data: str, group: str, options: argparse.Namespace
) -> dict[str, np.ndarray]:
    """Mean curves by strategy, (models, [validation, test])."""
    cells = np.flatnonzero(held & table.connected & table.group(group))
    cells = np.random.default_rng(0).permutation(cells)[: options.inputs]
    accuracies, found = (table.validation[data], table.test[data]), {}
    for name, make in STRATEGIES.items():
        settings = {"policy": options.policy} if make is NAT else {}
        curves = [
            curve(make(initial=sample(cell), budget={}, seed=seed, **settings), accuracies, cell, options.models)
            for seed, cell in enumerate(map(int, cells))
        ]
        found[name] = np.mean(curves, axis=0)
    return found


def report(data: str, group: str, found: Mapping[str, np.ndarray]) -> dict[str, Any]:
    shown = [count for count in SHOWN if count <= len(next(iter(found.values())))]
    print(f"\n{data}, inputs {group}: gain of the best in validation (test) accuracy after so many models")
    print(f"{'':26}" + "".join(f"{count:>14}" for count in shown))
    for name, means in found.items():
        print(f"{name:26}" + "".join(f"{means[n - 1, 0]:>8.2f}{f'({means[n - 1, 1]:.2f})':>6}" for n in shown))
    first, *others = found
    goal = found[first][GOAL - 1, 0]
    counts = {name: needed(found[name][:, 0], goal) for name in others}
    words = ", ".join(f"{name} {count or f'more than {len(found[name])}'}" for name, count in counts.items())
    print(f"What {first} has after {GOAL} models needs: {words}")
    curves = {name: means.round(4).tolist() for name, means in found.items()}
    return {"data": data, "group": group, "needed": counts, "curves": curves}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--inputs", type=int, default=100)
    parser.add_argument("--models", type=int, default=100)
    parser.add_argument("--datasets", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--groups", nargs="+", choices=GROUPS, default=list(GROUPS))
    parser.add_argument("--policy", default="general", help="Of NAT: a file or a name.")


def run(args: argparse.Namespace) -> None:
    if args.models < GOAL:
        raise NATError(f"--models {args.models}: at least {GOAL}")
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    table = load_space(find_file(args.data, NB201))
    held = held_out_by(table.networks, load_trained(args.policy).split)
    results = [
        report(data, group, measure(table, held, data, group, args)) for data in args.datasets for group in args.groups
    ]
    add_result(args.results, args.policy, {"inputs": args.inputs, "results": results})
