"""What the rewards of a supernet owe to how they are measured and trained, against NAS-Bench-201.

On the weights of ``supernet-nasbench201`` (``--work``, trained if they are not there): for ``--inputs`` good inputs the
rank correlation of minus the loss with test accuracy among ``--reached`` networks that each can become, and the true
gain of the best of them, the input among them:

- ``same images``: all networks on the same images, half of those at hand, as the ``supernet`` evaluator does, and
  ``other images``: every network on a half of its own;
- ``batch statistics`` of the images measured, as the evaluator does; ``own statistics``: running averages of the
  network alone, over training batches; ``shared statistics``: running averages over random paths, as plain batch norm
  would keep them in training;
- ``more steps``: the weights after ``--steps-more`` further steps on all paths; ``centred``: after as many on what the
  input can become, uniformly, and ``centred, dear``: by the sampling of the setting, from the same weights each.

``python -m benchmarks supernet-ablations --work DIR [--seeds N] [--save]``
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.common.files import CIFAR10, NB201, find_file
from benchmarks.common.intervals import interval
from benchmarks.common.results import add_result
from benchmarks.experiments.supernet.rewards import SAMPLING, SupernetRewards, ask_for_setting, setting_of
from benchmarks.spaces.nb201 import Reach, Space, digits_of, load_space
from nat_plugin.ir import find_rule
from nat_plugin.plugins import plugins

BATCHES = 8
"""Training batches for the statistics of one network."""
PATHS = 200
"""Random paths for shared statistics."""
CENTRED = {"centred": "uniform", "centred, dear": "dear"}
"""How paths around an input are drawn."""
GROUPS = {"90 to 93": (90.0, 93.0), "≥ 93": (93.0, 100.0)}

Measure: TypeAlias = Callable[[int], float]
"""Minus the loss of a network, by kind."""
Found: TypeAlias = dict[str, dict[int, tuple[float, float]]]
"""By arm and input: rank correlation and true gain."""


class Arms:
    """Ways to measure a network, by kind, on the shared weights of one seed."""

    def __init__(self, rewards: SupernetRewards) -> None:
        self.rewards, self.net = rewards, rewards.net
        self._x, self._y = rewards.images()
        self._half = len(self._y) // 2

    @torch.no_grad()
    def _score(self, kind: int, rows: Tensor) -> float:
        self.net.eval()
        logits = self.net(self._x[rows], self.rewards.network(kind))
        return -float(F.cross_entropy(logits, self._y[rows]))

    def batch_statistics(self, kind: int) -> float:
        return self._score(kind, torch.arange(len(self._y)))

    def same_images(self, kind: int) -> float:
        return self._score(kind, torch.arange(self._half))

    def other_images(self, kind: int) -> float:
        drawn = np.random.default_rng([kind, 3]).permutation(len(self._y))[: self._half]
        return self._score(kind, torch.from_numpy(drawn))

    def own_statistics(self, kind: int) -> float:
        with self._running(None) as see:
            for _ in range(BATCHES):
                see(kind)
            return self.batch_statistics(kind)

    @contextmanager
    def shared_statistics(self) -> Iterator[Measure]:
        with self._running(0.1) as see:
            for kind in self.rewards.random_kinds(PATHS):
                see(kind)
            yield self.batch_statistics

    @contextmanager
    def _running(self, momentum: float | None) -> Iterator[Callable[[int], None]]:
        """Batch norms that keep running averages of what they see, and measure by them; as they were afterwards."""
        norms = [each for each in self.net.modules() if isinstance(each, nn.BatchNorm2d)]
        for norm in norms:
            norm.track_running_stats, norm.momentum = True, momentum
            norm.running_mean, norm.running_var = torch.zeros(norm.num_features), torch.ones(norm.num_features)
            norm.num_batches_tracked = torch.tensor(0)

        @torch.no_grad()
        def see(kind: int) -> None:
            self.net.train()
            self.net(self.rewards.training_images(), self.rewards.network(kind))

        try:
            yield see
        finally:
            for norm in norms:
                norm.track_running_stats = False
                norm.running_mean = norm.running_var = norm.num_batches_tracked = None


class Study:
    """Good inputs, what each can become, and how measurements of that compare with the table."""

    def __init__(self, space: Space, inputs: int, reached: int) -> None:
        self.space, self.reach = space, Reach(space, find_rule("nat"))
        self.test = space.test["CIFAR-10"]
        rng = np.random.default_rng(11)
        self.groups: dict[int, str] = {}
        self.kinds: dict[int, np.ndarray] = {}
        for name, (low, high) in GROUPS.items():
            cells = np.flatnonzero(space.connected & (self.test >= low) & (self.test < high))
            for cell in rng.permutation(cells)[:inputs].tolist():
                own = space.kinds[cell]
                others = np.setdiff1d(space.kinds[self.reach.all_of(cell)], [own])
                self.groups[cell] = name
                self.kinds[cell] = np.array([own, *rng.permutation(others)[:reached]])

    def compare(self, cell: int, measure: Measure) -> tuple[float, float]:
        """Rank correlation, and the true gain of the best measured."""
        kinds = self.kinds[cell]
        scores = np.array([measure(int(kind)) for kind in kinds])
        truth = self.test[self.space.spelled[kinds]]
        return float(spearmanr(scores, truth)[0]), float(truth[scores.argmax()] - truth[0])


def measure_seed(study: Study, rewards: SupernetRewards, more: int) -> Found:
    """All arms; ``more``: further steps, 0 for none."""
    arms, found = Arms(rewards), dict[str, dict[int, tuple[float, float]]]()
    plain: dict[str, Measure] = {
        "same images": arms.same_images,
        "other images": arms.other_images,
        "batch statistics": arms.batch_statistics,
        "own statistics": arms.own_statistics,
    }
    for name, measure in plain.items():
        found[name] = {cell: study.compare(cell, measure) for cell in study.kinds}
        print(f"  {name}", flush=True)
    with arms.shared_statistics() as measure:
        found["shared statistics"] = {cell: study.compare(cell, measure) for cell in study.kinds}
    if more:
        found |= after_steps(study, rewards, arms.batch_statistics, more)
    return found


def after_steps(study: Study, rewards: SupernetRewards, measure: Measure, more: int) -> Found:
    """After further steps on all paths, and on paths around each input."""
    weights = rewards.snapshot()
    rewards.train_on(rewards.random_kinds(more))
    found: Found = {"more steps": {cell: study.compare(cell, measure) for cell in study.kinds}}
    for name, sampling in CENTRED.items():
        found[name] = {}
        for cell in study.kinds:
            rewards.put_back(weights)
            cells = study.reach.all_of(cell)
            odds = np.prod(np.array(SAMPLING[sampling])[digits_of(cells)], axis=1)
            rewards.train_on(study.space.kinds[np.random.default_rng(cell).choice(cells, more, p=odds / odds.sum())])
            found[name][cell] = study.compare(cell, measure)
            print(f"  {name} on {cell}: {found[name][cell]}", flush=True)
    rewards.put_back(weights)
    return found


def table(study: Study, seeds: Sequence[Found]) -> str:
    """Means over the inputs of a group, 95 % by Student's t over them; of each input the mean over the seeds."""
    lines = ["| | " + " | ".join(f"{what}, {name}" for name in GROUPS for what in ("rank", "gain")) + " |"]
    lines.append("|---" * (1 + 2 * len(GROUPS)) + "|")
    for arm in seeds[0]:
        cells = []
        for name in GROUPS:
            of = [cell for cell, group in study.groups.items() if group == name]
            rows = np.mean([[each[arm][cell] for cell in of] for each in seeds], axis=0)
            cells += [f"{mean:.2f} ± {half:.2f}" for mean, half in map(interval, rows.T.tolist())]
        lines.append(f"| {arm} | {' | '.join(cells)} |")
    return "\n".join(lines)


def add_options(parser: argparse.ArgumentParser) -> None:
    ask_for_setting(parser)
    parser.add_argument("--seeds", type=int, default=1, help="of the shared weights")
    parser.add_argument("--inputs", type=int, default=6, help="of each group")
    parser.add_argument("--reached", type=int, default=40, help="networks for each input")
    parser.add_argument("--steps-more", type=int, default=300, help="0: neither 'more steps' nor 'centred'")


def run(args: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    plugins()
    begun = time.perf_counter()
    space = load_space(find_file(args.data, NB201))
    setting = setting_of(args)
    study, seeds = Study(space, args.inputs, args.reached), []
    for seed in range(args.seeds):
        rewards = SupernetRewards(space, find_file(args.data, CIFAR10), setting, seed, args.work)
        seeds.append(measure_seed(study, rewards, args.steps_more))
        print(f"seed {seed}: {time.perf_counter() - begun:.0f} s", flush=True)
        add_result(args.results, args.sampling, {"groups": study.groups, "seeds": seeds})
    print(f"\n{table(study, seeds)}\n\n{time.perf_counter() - begun:.0f} s")
