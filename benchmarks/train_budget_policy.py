"""Train the policy that ships as ``--policy nasbench201-budgets``, on the CIFAR-10 columns of NAS-Bench-201 alone.

As ``train_policy.py``, but most inputs have a limit, on MACs or on an imagined latency, and the policy learns from what
the critic imagines of all that each input may become (``nat_plugin.policy.training.exact``), in place of samples.

``python benchmarks/train_budget_policy.py --table nasbench201.csv.gz [--seed N] [--evaluations N] [--out FILE]``
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from nb201 import CELLS, Reach
from nb201_inputs import Enumerated, draw_inputs
from train_policy import RULES, Plan, Training, held_out, run

from nat_plugin.ir import find_rule
from nat_plugin.policy.graphs import build_batch
from nat_plugin.policy.training.critic import CriticConfig
from nat_plugin.policy.training.exact import exact_step, log_shares

CHUNK = 256
"""Graphs in one pass."""
BEST = 64
"""Candidates by the critic that are compared in any case."""


@dataclass(frozen=True)
class BudgetPlan(Plan):
    """``limits``: shares of the inputs under a limit on MACs, and under one on an imagined latency. An update compares
    at most ``most`` of what each input may become. ``temperatures``: at the start and at the end of both stages, in the
    unit of the critic. Samples, their entropy and ``limited`` do not count."""

    room: bool = True
    inputs: int = 7000
    limits: tuple[float, float] = (0.35, 0.3)
    updates: tuple[int, int] = (300, 2000)
    most: int = 1500
    lr: float = 6e-3
    temperatures: tuple[tuple[float, float], tuple[float, float]] = ((0.5, 0.1), (0.4, 0.01))
    critics: tuple[CriticConfig, CriticConfig] = (CriticConfig(members=1), CriticConfig(members=4, epochs=25))


class BudgetTraining(Training[BudgetPlan, Enumerated]):
    """Critic and policy of one plan."""

    def draw(self) -> list[Enumerated]:
        cells = self.rng.permutation(np.flatnonzero(~held_out()))[: self.plan.inputs]
        reach = [Reach(self.space, find_rule(name)) for name in RULES]
        return draw_inputs(self.space, reach, cells, self.plan.limits, self.rng)

    def learn(self, stage: int) -> None:
        """The temperature falls by a constant factor; the learning rate rises for ``warmup`` updates and falls."""
        plan, updates = self.plan, self.plan.updates[stage]
        start, end = plan.temperatures[stage]
        for step in range(updates):
            done = step / updates
            self.set_rate(max(0.02, 1 - done) * min(1.0, (step + 1) / plan.warmup))
            drawn = [self.inputs[each] for each in self.rng.integers(0, len(self.inputs), plan.batch)]
            gains = [self.predicted[each.cells] for each in drawn]
            taken = [self._some(each) for each in gains]
            choices = [each.choices[of] for each, of in zip(drawn, taken, strict=True)]
            gains = [each[of] for each, of in zip(gains, taken, strict=True)]
            batch = build_batch([each.graph for each in drawn])
            exact_step(self.policy, self.optimizer, batch, choices, gains, start * (end / start) ** done)

    def _some(self, gains: np.ndarray) -> np.ndarray:
        """Which candidates are compared: all, or of too many the best and others at random."""
        most = self.plan.most
        if len(gains) <= most:
            return np.arange(len(gains))
        best = np.argpartition(-gains, BEST)[:BEST]
        return np.unique(np.concatenate([best, self.rng.integers(0, len(gains), most - BEST)]))

    @torch.no_grad()
    def proposals(self) -> np.ndarray:
        """Cells that the policy proposes for its inputs, the most probable over all of them first. Many compute the
        same: they are trainings of their own, which average out the noise where the policy goes."""
        total = np.zeros(CELLS)
        for start in range(0, len(self.inputs), CHUNK):
            part = self.inputs[start : start + CHUNK]
            batch = build_batch([each.graph for each in part])
            log, _ = log_shares(self.policy(batch), batch, [each.choices for each in part])
            np.add.at(total, np.concatenate([each.cells for each in part]), log.exp().double().numpy())
        return np.argsort(-total, kind="stable")


if __name__ == "__main__":
    run(BudgetTraining, BudgetPlan(), "nasbench201-budgets")
