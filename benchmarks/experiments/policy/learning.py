"""What a policy learns from as many rows of NAS-Bench-201 with and without a critic, and with and without reuse.

- ``one step``: the strategy ``nat`` alone, REINFORCE on what was measured, every batch used once;
- ``several steps``: the same, every batch used ``STEPS`` times with clipped importance weights (its default);
- ``critic``: the recipe ``train-nasbench201``: a critic learns from the rows, the policy from what the critic imagines.

The first two propose ``--proposals`` transformations of ``INPUTS`` cells of the training part; a row that was read is
known, and once ``--rows`` are read, proposals that would need another count as failed. All are decoded greedily on the
held-out cells, rules ``nat``, with no query. Mean gain in test accuracy by group, 95 % by Student's t over seeds.

``python -m benchmarks policy-learning [--work DIR] [--seeds N] [--rows N] [--proposals N]``
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common.files import NB201, find_file
from benchmarks.common.intervals import interval, signed
from benchmarks.common.results import add_result
from benchmarks.experiments.policy.nasbench201 import Yardstick
from benchmarks.methods.nb201_training import Wanted, train
from benchmarks.methods.no_query import Trained
from benchmarks.spaces.held_out import some_of
from benchmarks.spaces.nb201 import DATA, GROUPS, Space, load_space
from benchmarks.spaces.nb201_limits import number_of
from nat_plugin.ir import Budget, find_rule
from nat_plugin.plugins import plugins
from nat_plugin.policy.files import load_policy
from nat_plugin.policy.network import Policy
from nat_plugin.search.base import Measurement, Task
from nat_plugin.search.nat.inputs import Mix
from nat_plugin.search.nat.settings import NATSettings
from nat_plugin.search.nat.strategy import NATStrategy

INPUTS, BATCH, STEPS, HIDDEN = 1000, 128, NATSettings().steps, 32
CPU = torch.device("cpu")
LEARNED_FROM = {
    "one step": "what was measured, every batch used once",
    "several steps": f"the same, {STEPS} times, with clipped importance weights",
    "critic": "what a critic predicts",
}


class Rows:
    """The scores of at most ``most`` cells by number, none of them held out: every row that is read counts."""

    def __init__(self, space: Space, may: np.ndarray, most: int) -> None:
        self._space, self._may, self._most = space, may, most
        self.scores: dict[int, float] = {}

    def read(self, cell: int) -> float | None:
        """None where it may not be read, or no more may be."""
        if cell not in self.scores and self._may[cell] and len(self.scores) < self._most:
            self.scores[cell] = float(self._space.validation["CIFAR-10"][cell])
        return self.scores.get(cell)


def measured_only(space: Space, steps: int, proposals: int, rows: int, seed: int) -> Policy:
    """REINFORCE on what was measured."""
    rng, may = np.random.default_rng(seed), ~space.held_out & space.connected
    cells = rng.permutation(np.flatnonzero(may))[:INPUTS]
    task = Task(tuple(space.networks[cell] for cell in cells), find_rule("nat"), Budget(), seed, proposals, CPU)
    settings = NATSettings(
        hidden=HIDDEN, refine=0, sources=BATCH // 8, samples=8, steps=steps, mix=Mix(input=1, neighbours=0)
    )
    strategy, known = NATStrategy(task, settings), Rows(space, may, rows)
    for _ in range(proposals // BATCH):
        for proposal in strategy.ask(BATCH):
            pair = (proposal.network, proposal.source)
            new, old = [known.read(int(space.written[number_of(each)])) for each in pair]
            strategy.tell(proposal, None if new is None or old is None else Measurement(new, old))
    print(f"{len(known.scores):,} rows read, entropy {strategy.report['entropy']:.2f}", flush=True)
    return strategy.policy


def with_critic(wanted: Wanted, seed: int) -> Policy:
    train(wanted, seed)
    return load_policy(wanted.folder(seed) / "policy.safetensors")[0]


def table(figures: Mapping[str, Any]) -> str:
    columns = [(data, group) for data in DATA for group in GROUPS]
    lines = ["| | " + " | ".join(f"{data}, {group}" for data, group in columns) + " |", "|---" * 7 + "|"]
    for name, gains in figures["gains"].items():
        found = [[each[data][group] for each in gains] for data, group in columns]
        cells = [signed(interval(each) if None not in each else None, ".2f") for each in found]
        lines.append(f"| {LEARNED_FROM[name]} | {' | '.join(cells)} |")
    return "\n".join(lines)


def tables_of(results: Mapping[str, Any]) -> dict[str, str]:
    return {"policies-learning": "\n\n".join(map(table, results.values()))}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--work", type=Path, default=Path("nasbench201-work"), help="Where trainings are kept.")
    parser.add_argument("--inputs", type=int, help="So many of the held-out networks; left out: all.")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="Change keys of the recipe.")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--proposals", type=int, default=24_000)


def run(args: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    plugins()
    begun, space = time.perf_counter(), load_space(find_file(args.data, NB201))
    yardstick = Yardstick(space, some_of(space.held_out, args.inputs))
    arms: dict[str, Callable[[int], Policy]] = {
        "one step": partial(measured_only, space, 1, args.proposals, args.rows),
        "several steps": partial(measured_only, space, STEPS, args.proposals, args.rows),
        "critic": partial(
            with_critic, Wanted(find_file(args.data, NB201), args.work, "graph", args.rows, tuple(args.set))
        ),
    }
    kept: dict[str, Any] = {}
    for name, learn in arms.items():
        kept[name] = [yardstick.of_policy(Trained(learn(seed)))["nat"] for seed in range(args.seeds)]
        print(f"{name}: {time.perf_counter() - begun:.0f} s", flush=True)
    figures = {"proposals": args.proposals, "gains": kept}
    add_result(args.results, f"{args.rows} rows", figures)
    print(f"\n{table(figures)}")
