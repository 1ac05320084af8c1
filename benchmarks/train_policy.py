"""Train the policy that ships as ``--policy nasbench201``, on the CIFAR-10 columns of NAS-Bench-201 alone.

A fifth of the cells, drawn by ``SPLIT``, is held out: none of their rows is read in training, neither as an input nor
as a proposal, and the policy is reported on them as inputs. Of the others, a share of the evaluations goes to cells
drawn uniformly; a critic learns from them, the policy learns by REINFORCE from what the critic imagines, and proposes
what else is measured; then a new critic and the same policy learn from all. The score is the mean validation accuracy
after 200 epochs. Every row of the table that is read counts as an evaluation, also where another cell that computes the
same was read before: the number of distinct cells by ``nat_plugin.ir.key`` is smaller (fact ``distinct_by_key``).

``python benchmarks/train_policy.py --table nasbench201.csv.gz [--seed N] [--evaluations N] [--encoder E] [--out FILE]``
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from nat_nasbench.nb201 import OPS
from nb201 import CELLS, EDGES, Reach, Space, digits_of, load_space, numbers

from nat_plugin.errors import NATError
from nat_plugin.ir import Budget, Moves, find_rule
from nat_plugin.plugins import plugins
from nat_plugin.policy.files import Fact, save_policy
from nat_plugin.policy.finding import SHIPPED
from nat_plugin.policy.graphs import Graph, build_batch, build_graph
from nat_plugin.policy.network import Policy, PolicyConfig, new_policy
from nat_plugin.policy.reinforce import Learning
from nat_plugin.policy.search_space import cells_of
from nat_plugin.policy.trained_on import CELLS as CELLS_FACT
from nat_plugin.policy.training.critic import Critic, CriticConfig
from nat_plugin.policy.training.critic_based import critic_based_step, draw_unmasked

SPLIT = 201
"""Seed of the split, the same for every training."""
RULES = ("nat", "nat++")
CPU = torch.device("cpu")
CHUNK = 512
"""Graphs in one pass."""


@dataclass(frozen=True)
class Plan:
    """``evaluations``: most rows that are read, a share ``first`` of them drawn uniformly, the others by the policy
    (``proposals`` samples for each input, the most frequent first). ``inputs``: of the policy, each under one of both
    rules, a share ``limited`` of them under a limit on MACs from 0.5x to 1.0x. ``updates``: of the policy before and
    after its proposals are measured, each of ``batch`` inputs and ``samples`` of each. ``room``: as of
    ``PolicyConfig``. ``entropy``: weight of the bonus at the start of both; falls to nothing, as the learning rate does
    after ``warmup`` updates. ``critics``: before and after."""

    seed: int = 0
    evaluations: int = 3000
    first: float = 0.4
    proposals: int = 24
    encoder: str = "graph"
    hidden: int = 32
    rounds: int = 3
    room: bool = False
    inputs: int = 4000
    limited: float = 0.3
    updates: tuple[int, int] = (150, 500)
    batch: int = 128
    samples: int = 8
    lr: float = 4e-3
    warmup: int = 30
    entropy: float = 1.0
    critics: tuple[CriticConfig, CriticConfig] = (CriticConfig(members=1), CriticConfig(epochs=25))


@dataclass(frozen=True)
class Input:
    """A cell as an input of the policy: number, what its digits may become (EDGES, DIGITS), most MACs, its graph."""

    cell: int
    options: np.ndarray
    limit: float
    graph: Graph


P = TypeVar("P", bound=Plan)
Source = TypeVar("Source")


def held_out() -> np.ndarray:
    """Whether each cell is held out of training, (CELLS,): exactly a fifth."""
    held = np.zeros(CELLS, bool)
    held[np.random.default_rng(SPLIT).permutation(CELLS)[: CELLS // 5]] = True
    return held


class Measured:
    """What is known of the table: the scores of cells by number. Every row that is read counts, also where another cell
    that computes the same was measured before."""

    def __init__(self, space: Space, most: int) -> None:
        self._space, self._most = space, most
        self._may = ~held_out() & space.connected
        self.scores: dict[int, float] = {}

    @property
    def left(self) -> int:
        return self._most - len(self.scores)

    def measure(self, cells: Sequence[int] | np.ndarray, most: int) -> None:
        """Read the rows of cells in turn, until ``most`` new ones are read; passes over what is held out."""
        wanted = len(self.scores) + min(most, self.left)
        for cell in cells:
            if len(self.scores) >= wanted:
                return
            if self._may[cell]:
                self.scores.setdefault(int(cell), float(self._space.validation["CIFAR-10"][cell]))


class Training(ABC, Generic[P, Source]):
    """Critic and policy of one plan; how inputs are drawn and what the policy learns from them is said by others."""

    def __init__(self, space: Space, plan: P) -> None:
        self.space, self.plan = space, plan
        self.rng = np.random.default_rng(plan.seed)
        self.measured = Measured(space, plan.evaluations)
        vocabulary = tuple(sorted(map(str, OPS.values()))) if plan.encoder == "paper" else ()
        config = PolicyConfig(plan.encoder, plan.hidden, plan.rounds, vocabulary, plan.room)
        self.policy = new_policy(config, plan.seed, CPU)
        self.optimizer = torch.optim.Adam(self.policy.parameters(), plan.lr, (0.9, 0.99))
        self.inputs = self.draw()
        self._graphs = [build_graph(space.networks[cell]) for cell in space.spelled]
        self.predicted = np.full(CELLS, np.nan)
        """By cell, what the critic makes of it; NaN where it is not connected."""

    @abstractmethod
    def draw(self) -> list[Source]:
        """Inputs of the policy, none of them held out."""

    @abstractmethod
    def learn(self, stage: int) -> None:
        """The policy learns from what the critic imagines."""

    @abstractmethod
    def proposals(self) -> np.ndarray:
        """Cells to measure next, as the policy proposes them."""

    def run(self) -> None:
        start = np.flatnonzero(~held_out())
        self.measured.measure(self.rng.permutation(start), round(self.plan.first * self.plan.evaluations))
        for stage in range(len(self.plan.updates)):
            if stage:
                self.measured.measure(self.proposals(), self.measured.left)
            self._criticise(self.plan.critics[stage])
            self.learn(stage)

    def _criticise(self, config: CriticConfig) -> None:
        """A new critic from all that was measured."""
        critic = Critic(config, self.plan.seed, CPU)
        kinds = self.space.kinds[list(self.measured.scores)]
        critic.fit([self._graphs[kind] for kind in kinds], np.array(list(self.measured.scores.values())))
        values = critic.predict(self._graphs).mean(axis=0)
        self.predicted = np.where(self.space.connected, values[self.space.kinds], np.nan)

    def set_rate(self, share: float) -> None:
        """The learning rate, as a share of that of the plan."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.plan.lr * share


class SampledTraining(Training[Plan, Input]):
    """REINFORCE on samples of the policy."""

    def draw(self) -> list[Input]:
        cells = np.flatnonzero(~held_out())
        reach = [Reach(self.space, find_rule(name)) for name in RULES]
        inputs = []
        for cell in self.rng.permutation(cells)[: self.plan.inputs]:
            network, own = self.space.networks[cell], reach[self.rng.integers(len(RULES))]
            share = round(self.rng.uniform(0.5, 1.0), 2)
            limited = self.rng.random() < self.plan.limited and bool(self.space.connected[cell])
            budget = Budget.parse({"macs": f"{share}x"} if limited else {})
            try:
                moves = Moves(network, own.rule, budget.resolve(network))
            except NATError:  # nothing legal fits
                continue
            limit = float(moves.limits.values[0][1]) if limited else np.inf
            inputs.append(Input(int(cell), own.table[digits_of(cell)], limit, build_graph(network, moves)))
        return inputs

    def learn(self, stage: int) -> None:
        """The weight of the entropy falls to nothing, as the learning rate does after ``warmup`` updates."""
        updates = self.plan.updates[stage]
        for step in range(updates):
            self._update(1 - step / updates, min(1.0, (step + 1) / self.plan.warmup))

    def _update(self, left: float, warm: float) -> None:
        """One step of the policy, with a share of the stage ``left``."""
        plan = self.plan
        self.set_rate(max(0.02, left) * warm)
        drawn = [self.inputs[each] for each in self.rng.integers(0, len(self.inputs), plan.batch)]
        batch = build_batch([each.graph for each in drawn])

        def judge(graph: int, choices: np.ndarray) -> np.ndarray:
            return self.gain(drawn[graph], choices)

        learning = Learning(normalise="batch")
        critic_based_step(
            self.policy, self.optimizer, batch, judge, learning, plan.entropy * left, plan.samples, self.rng
        )

    def gain(self, source: Input, choices: np.ndarray) -> np.ndarray:
        """Imagined gains (n,) of choices (n, EDGES); NaN over the limit and for cells that are not connected."""
        cells = numbers(source.options[np.arange(EDGES), choices])
        own = self.predicted[source.cell]
        gains = self.predicted[cells] - (0.0 if np.isnan(own) else own)
        found: np.ndarray = np.where(self.space.macs[cells] <= source.limit, gains, np.nan)
        return found

    def proposals(self) -> np.ndarray:
        """Cells that the policy proposes for its inputs, the most frequent first."""
        count = np.zeros(CELLS, np.int64)
        for start in range(0, len(self.inputs), CHUNK):
            part = self.inputs[start : start + CHUNK]
            batch = build_batch([each.graph for each in part])
            drawn = draw_unmasked(self.policy, batch, self.plan.proposals, self.rng)
            for source, choices in zip(part, drawn, strict=True):
                np.add.at(count, numbers(source.options[np.arange(EDGES), choices]), 1)
        return np.argsort(-count, kind="stable")[: np.count_nonzero(count)]


def train(space: Space, plan: P, kind: Callable[[Space, P], Training[P, Any]]) -> tuple[Policy, dict[str, Fact]]:
    """A policy and the facts about its training."""
    wall, user = time.perf_counter(), time.process_time()
    training = kind(space, plan)
    training.run()
    facts: dict[str, Fact] = {
        "space": "NAS-Bench-201",
        CELLS_FACT: cells_of(space.networks[0]),
        "trained_on": "CIFAR-10 validation accuracy after 200 epochs, mean over seeds",
        "rules": " ".join(RULES),
        "seed": plan.seed,
        "split": SPLIT,
        "cells_evaluated": len(training.measured.scores),
        "distinct_by_key": len(set(space.kinds[list(training.measured.scores)].tolist())),
        "most_evaluations": plan.evaluations,
    }
    print(f"seed {plan.seed}, {plan.encoder}, {len(training.measured.scores)} cells: "
          f"{time.process_time() - user:.0f} s CPU, {time.perf_counter() - wall:.0f} s")  # fmt: skip
    return training.policy, facts


def run(kind: Callable[[Space, P], Training[P, Any]], plan: P, name: str) -> None:
    """The command line: train by a plan and ship the policy under a name."""
    parser = argparse.ArgumentParser(description=f"Train the policy that ships as {name}.")
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--evaluations", type=int, default=3000)
    parser.add_argument("--encoder", default="graph")
    parser.add_argument("--out", type=Path, default=SHIPPED / f"{name}.safetensors")
    args = parser.parse_args()
    torch.set_num_threads(1)
    plugins()
    plan = replace(plan, seed=args.seed, evaluations=args.evaluations, encoder=args.encoder)
    policy, facts = train(load_space(args.table), plan, kind)
    command = [f"benchmarks/{Path(sys.argv[0]).name}", "--table", args.table.name]
    command += ["--seed", str(args.seed), "--evaluations", str(args.evaluations), "--encoder", args.encoder]
    save_policy(policy, args.out, {**facts, "command": f"python {shlex.join(command)}"})
    print(f"{args.out}: {args.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    run(SampledTraining, Plan(), "nasbench201")
