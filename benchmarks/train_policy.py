"""Train the policy that ships as ``--policy nasbench201-budgets``, on the CIFAR-10 columns of NAS-Bench-201 alone.

A fifth of the cells, drawn by ``SPLIT``, is held out: none of their rows is read in training, neither as an input nor
as a proposal, and the policy is reported on them as inputs. Of the others, a share of the evaluations goes to cells
drawn uniformly; a critic learns from them, the policy learns from what the critic imagines of all that each input may
become (``nat_plugin.policy.enumerating``), and proposes what else is measured; then a new critic and the same policy
learn from all. The score is the mean validation accuracy after 200 epochs. Every row of the table that is read counts
as an evaluation, also where another cell that computes the same was read before: the number of distinct cells by
``nat_plugin.ir.key`` is smaller (fact ``distinct_by_key``).

``python benchmarks/train_policy.py --table nasbench201.csv.gz [--seed N] [--evaluations N] [--encoder E] [--out FILE]``
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from nat_nasbench.nb201 import OPS
from nb201 import CELLS, Reach, Space, load_space
from nb201_inputs import draw_inputs

from nat_plugin.ir import find_rule
from nat_plugin.plugins import plugins
from nat_plugin.policy.critic import Critic, CriticConfig
from nat_plugin.policy.enumerating import compare_all, log_shares
from nat_plugin.policy.files import Fact, save_policy
from nat_plugin.policy.finding import SHIPPED
from nat_plugin.policy.graphs import build_batch, build_graph
from nat_plugin.policy.network import Policy, PolicyConfig, new_policy

SPLIT = 201
"""Seed of the split, the same for every training."""
RULES = ("nat", "nat++")
CPU = torch.device("cpu")
CHUNK = 256
"""Graphs in one pass."""
BEST = 64
"""Candidates by the critic that are compared in any case."""


@dataclass(frozen=True)
class Plan:
    """``evaluations``: most rows that are read, a share ``first`` of them drawn uniformly, the others as the policy
    proposes. ``inputs``: of the policy, each under one of both rules, a share ``limited`` of them under a limit on MACs
    and another under one on an imagined latency. ``updates``: of the policy before and after its proposals are
    measured, each of ``batch`` inputs, with at most ``most`` of what each may become. ``temperatures``: at the start
    and at the end of both, in the unit of the critic; the learning rate rises for ``warmup`` updates and falls to
    nothing. ``critics``: before and after."""

    seed: int = 0
    evaluations: int = 3000
    first: float = 0.4
    encoder: str = "graph"
    hidden: int = 32
    rounds: int = 3
    inputs: int = 7000
    limited: tuple[float, float] = (0.35, 0.3)
    updates: tuple[int, int] = (300, 2000)
    batch: int = 128
    most: int = 1500
    lr: float = 6e-3
    warmup: int = 30
    temperatures: tuple[tuple[float, float], tuple[float, float]] = ((0.5, 0.1), (0.4, 0.01))
    critics: tuple[CriticConfig, CriticConfig] = (CriticConfig(members=1), CriticConfig(members=4, epochs=25))


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


class Training:
    """Critic and policy of one plan."""

    def __init__(self, space: Space, plan: Plan) -> None:
        self.space, self.plan = space, plan
        self.rng = np.random.default_rng(plan.seed)
        self.measured = Measured(space, plan.evaluations)
        vocabulary = tuple(sorted(map(str, OPS.values()))) if plan.encoder == "paper" else ()
        config = PolicyConfig(plan.encoder, plan.hidden, plan.rounds, vocabulary)
        self.policy = new_policy(config, plan.seed, CPU)
        self.optimizer = torch.optim.Adam(self.policy.parameters(), plan.lr, (0.9, 0.99))
        cells = self.rng.permutation(np.flatnonzero(~held_out()))[: plan.inputs]
        reach = [Reach(space, find_rule(name)) for name in RULES]
        self.inputs = draw_inputs(space, reach, cells, plan.limited, self.rng)
        self._graphs = [build_graph(space.networks[cell]) for cell in space.spelled]
        self.predicted = np.full(CELLS, np.nan)
        """By cell, what the critic makes of it; NaN where it is not connected."""

    def run(self) -> None:
        start = np.flatnonzero(~held_out())
        self.measured.measure(self.rng.permutation(start), round(self.plan.first * self.plan.evaluations))
        for stage, updates in enumerate(self.plan.updates):
            if stage:
                self.measured.measure(self._proposals(), self.measured.left)
            self._criticise(self.plan.critics[stage])
            self.learn(updates, *self.plan.temperatures[stage])

    def _criticise(self, config: CriticConfig) -> None:
        """A new critic from all that was measured."""
        critic = Critic(config, self.plan.seed, CPU)
        kinds = self.space.kinds[list(self.measured.scores)]
        critic.fit([self._graphs[kind] for kind in kinds], np.array(list(self.measured.scores.values())))
        values = critic.predict(self._graphs).mean(axis=0)
        self.predicted = np.where(self.space.connected, values[self.space.kinds], np.nan)

    def learn(self, updates: int, start: float, end: float) -> None:
        """So many steps of the policy, while the temperature falls from ``start`` to ``end``."""
        plan = self.plan
        for step in range(updates):
            done = step / updates
            for group in self.optimizer.param_groups:
                group["lr"] = plan.lr * max(0.02, 1 - done) * min(1.0, (step + 1) / plan.warmup)
            drawn = [self.inputs[each] for each in self.rng.integers(0, len(self.inputs), plan.batch)]
            gains = [self.predicted[each.cells] for each in drawn]
            taken = [self._some(each) for each in gains]
            choices = [each.choices[of] for each, of in zip(drawn, taken, strict=True)]
            gains = [each[of] for each, of in zip(gains, taken, strict=True)]
            batch = build_batch([each.graph for each in drawn])
            compare_all(self.policy, self.optimizer, batch, choices, gains, start * (end / start) ** done)

    def _some(self, gains: np.ndarray) -> np.ndarray:
        """Which candidates are compared: all, or of too many the best and others at random."""
        most = self.plan.most
        if len(gains) <= most:
            return np.arange(len(gains))
        best = np.argpartition(-gains, BEST)[:BEST]
        return np.unique(np.concatenate([best, self.rng.integers(0, len(gains), most - BEST)]))

    @torch.no_grad()
    def _proposals(self) -> np.ndarray:
        """Cells that the policy proposes for its inputs, the most probable over all of them first. Many compute the
        same: they are trainings of their own, which average out the noise where the policy goes."""
        total = np.zeros(CELLS)
        for start in range(0, len(self.inputs), CHUNK):
            part = self.inputs[start : start + CHUNK]
            batch = build_batch([each.graph for each in part])
            log, _ = log_shares(self.policy(batch), batch, [each.choices for each in part])
            np.add.at(total, np.concatenate([each.cells for each in part]), log.exp().double().numpy())
        return np.argsort(-total, kind="stable")


def train(space: Space, plan: Plan) -> tuple[Policy, dict[str, Fact]]:
    """A policy and the facts about its training."""
    wall, user = time.perf_counter(), time.process_time()
    training = Training(space, plan)
    training.run()
    facts: dict[str, Fact] = {
        "space": "NAS-Bench-201",
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--evaluations", type=int, default=3000)
    parser.add_argument("--encoder", default="graph")
    parser.add_argument("--out", type=Path, default=SHIPPED / "nasbench201-budgets.safetensors")
    args = parser.parse_args()
    torch.set_num_threads(1)
    plugins()
    plan = Plan(args.seed, args.evaluations, encoder=args.encoder)
    policy, facts = train(load_space(args.table), plan)
    command = ["benchmarks/train_policy.py", "--table", args.table.name]
    command += ["--seed", str(args.seed), "--evaluations", str(args.evaluations), "--encoder", args.encoder]
    save_policy(policy, args.out, {**facts, "command": f"python {shlex.join(command)}"})
    print(f"{args.out}: {args.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    sys.exit(main())
