"""Time that a proposal takes after so many observations, for strategies with a surrogate model.

Random DARTS cells under ``nat++`` and MACs 1.0x; the observations are random networks with made-up gains, put in by
``state`` and ``restore``. A proposal is one ``ask`` and one ``tell``, with all that is learned in them.

``python -m benchmarks speed-search [--observations N ...] [--proposals N] [--policy FILE] [--name NAME] [--save]``
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from benchmarks.common.results import add_result
from benchmarks.spaces.random_cells import random_darts
from nat_plugin.ir import Budget, Moves, find_rule
from nat_plugin.plugins import plugins
from nat_plugin.search.base import Measurement, Strategy, Task
from nat_plugin.settings import State

STRATEGIES: dict[str, tuple[str, dict[str, Any]]] = {
    "nat": ("nat", {"policy": "none", "mix": {"input": 1, "neighbours": 0}}),
    "nat, the policy that ships": ("nat", {"mix": {"input": 1, "neighbours": 0}}),
    "surrogate": ("surrogate", {}),
}


def with_observations(strategy: Strategy, count: int, rng: np.random.Generator) -> None:
    [network] = strategy.task.inputs
    moves = Moves(network, strategy.task.rule, strategy.task.budget.resolve(network))
    state: State = strategy.state()
    inner = state.get("local", state)
    told = (inner.get("acquisition") or inner["promising"])["told"]  # the second is of before there was the first
    worth = [rng.normal(size=len(options)) for options in moves.candidates]
    for _ in range(count):
        choice = moves.sample(rng)
        gain = sum(float(values[index]) for values, index in zip(worth, choice, strict=True))
        told.append([0, list(choice), gain + float(rng.normal()), 0.0, True])
    strategy.restore(state)


def time_of(named: str, settings: dict[str, Any], observations: int, proposals: int) -> float:
    """Milliseconds for a proposal, of this process's own time."""
    rng, kind = np.random.default_rng(0), plugins().find("strategies", named)
    network, budget = random_darts(np.random.default_rng(0)), Budget.parse({"macs": "1.0x"})
    strategy = kind(Task((network,), find_rule("nat++"), budget, 0, 100), kind.Settings(**settings))
    with_observations(strategy, observations, rng)
    for count in (2, proposals):  # the first are the beginning
        begun = time.process_time()
        for _ in range(count):
            [proposal] = strategy.ask(1)
            strategy.tell(proposal, Measurement(float(rng.normal()), 0.0))
    return 1000 * (time.process_time() - begun) / proposals


def tables_of(results: Mapping[str, Any]) -> dict[str, str]:
    """Markdown by the name of the place in the documentation."""
    counts = next(iter(results.values()))["observations"]
    lines = ["| observations | " + " | ".join(f"{count:,}" for count in counts) + " |"]
    lines.append("|---" * (len(counts) + 1) + "|")
    for name in dict.fromkeys(name for found in results.values() for name in found["ms"]):
        for entry, found in results.items():
            if name in found["ms"] and found["observations"] == counts:
                lines.append(f"| {name}, {entry} | " + " | ".join(f"{each:.1f}" for each in found["ms"][name]) + " |")
    return {"speed-search": "\n".join(lines)}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--observations", type=int, nargs="*", default=[50, 250, 1000, 5000])
    parser.add_argument("--proposals", type=int, default=32)
    parser.add_argument("--policy", metavar="FILE", help="One more of nat: with this policy.")
    parser.add_argument("--name", default="now")


def run(args: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    figures: dict[str, Any] = {"observations": args.observations, "ms": {}}
    print("| ms | " + " | ".join(map(str, args.observations)) + " |\n" + "|---" * (len(args.observations) + 1) + "|")
    own = {"policy": args.policy, "mix": {"input": 1, "neighbours": 0}}
    strategies = STRATEGIES | ({"nat, with the policy of --policy": ("nat", own)} if args.policy else {})
    for name, (named, settings) in strategies.items():
        found = [time_of(named, settings, count, args.proposals) for count in args.observations]
        figures["ms"][name] = [round(each, 2) for each in found]
        print(f"| {name} | " + " | ".join(f"{each:.1f}" for each in found) + " |", flush=True)
    add_result(args.results, args.name, figures)
