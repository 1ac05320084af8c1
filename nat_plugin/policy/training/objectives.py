"""One update of the policy by the objective that a recipe names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from nat_plugin.policy.graphs import Batch
from nat_plugin.policy.network import Policy
from nat_plugin.policy.optimizers import PolicySteps
from nat_plugin.policy.reinforce import Learning
from nat_plugin.policy.training.critic_based import SampleSettings, Slots, critic_based_step
from nat_plugin.policy.training.exact import exact_step
from nat_plugin.policy.training.inputs import DESCENTS, Input
from nat_plugin.policy.training.judging import Judge
from nat_plugin.policy.training.recipe import PolicySettings, StageSettings
from nat_plugin.policy.training.sampled import draw_candidates, sampled_step

BEST = 64
"""Candidates by the critic that are compared in any case."""


@dataclass(frozen=True, eq=False)
class Update:
    """What an update is made of. ``share``: how much of the stage is behind it, from 0 to 1."""

    policy: Policy
    optimizer: torch.optim.Optimizer
    batch: Batch
    inputs: Sequence[Input]
    judge: Judge
    settings: PolicySettings
    stage: StageSettings
    share: float
    rng: np.random.Generator

    @property
    def steps(self) -> PolicySteps:
        return PolicySteps(self.policy, self.optimizer)

    @property
    def drawn(self) -> SampleSettings:
        """The entropy bonus falls to nothing."""
        return SampleSettings(self.settings.samples, self.stage.entropy * (1 - self.share))

    def gains(self, graph: int, choices: np.ndarray) -> np.ndarray:
        """Of choices (n, S) of an input; NaN for what is not admitted."""
        source = self.inputs[graph]
        return self.judge.gains(source, source.kinds_of(choices))


def _critic(update: Update) -> dict[str, float]:
    learning = Learning(normalise="batch")
    found = critic_based_step(update.steps, update.batch, update.gains, learning, update.drawn, update.rng)
    return {name: found[name] for name in ("gain", "entropy")}


def _sampled(update: Update) -> dict[str, float]:
    also = [np.resize(each.descents, (DESCENTS, each.descents.shape[1])) for each in update.inputs]
    return sampled_step(update.steps, update.batch, update.gains, update.drawn, update.rng, also)


def _exact(update: Update) -> dict[str, float]:
    """The temperature falls by a constant factor. Where not all can be enumerated, candidates are drawn."""
    first, last = update.stage.temperature
    drawn = _drawn(update) if any(each.choices is None for each in update.inputs) else []
    choices, gains = [], []
    for graph, source in enumerate(update.inputs):
        if source.choices is not None:
            every = update.judge.enumerated(source)
            taken = _some(every, update.settings.most, update.rng)
            choices.append(source.choices[taken])
            gains.append(every[taken])
        else:
            some = np.unique(np.concatenate([drawn[graph], source.descents]), axis=0)
            values = update.gains(graph, some)
            choices.append(some[np.isfinite(values)])
            gains.append(values[np.isfinite(values)])
    temperature = first * (last / first) ** update.share
    return exact_step(update.steps, update.batch, choices, gains, temperature)


@torch.no_grad()
def _drawn(update: Update) -> list[np.ndarray]:
    slots = Slots(update.batch, update.policy.device)
    scores = update.policy(update.batch).double().cpu().numpy()
    return slots.choices(draw_candidates(slots, update.batch, scores, update.settings.samples, update.rng))


def _some(gains: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """Which candidates are compared: all, or of too many the best and others at random."""
    if len(gains) <= most:
        return np.arange(len(gains))
    best = np.argpartition(-gains, min(BEST, most - 1))[: min(BEST, most - 1)]
    return np.unique(np.concatenate([best, rng.integers(0, len(gains), most - len(best))]))


OBJECTIVES: dict[str, Callable[[Update], dict[str, float]]] = {"sampled": _sampled, "exact": _exact, "critic": _critic}


def find_objective(name: str) -> Callable[[Update], dict[str, float]]:
    return OBJECTIVES[name]
