"""REINFORCE on imagined rewards: many samples at once, judged by a critic in place of an evaluator.

The rule is that of ``nat_plugin.policy.reinforce`` (leave one out, normalised advantages). Samples are drawn with all
candidates open, in one piece for the whole batch, and what the judge does not admit is dropped. As the advantages of
what is left of an input add up to nothing, the gradient is that of the expected gain given that a sample is admitted:
how probable that is falls out. The bonus for entropy should be large, and fall slowly: with 0.1 the policy collapses
within a hundred updates, with 0.7 to 1.0 (recipe ``train-nasbench201``) it does not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch

from nat_plugin.policy.geometric import scatter
from nat_plugin.policy.graphs import Batch
from nat_plugin.policy.network import Policy
from nat_plugin.policy.optimizers import PolicySteps
from nat_plugin.policy.reinforce import Learning, advantages

Tensor = torch.Tensor

GainOf: TypeAlias = Callable[[int, np.ndarray], np.ndarray]
"""Gains (n,) of choices (n, S) of the graph of that number in the batch; NaN for what is not admitted."""


class Slots:
    """The slots of a batch, counted through: S of them over R candidate rows."""

    def __init__(self, batch: Batch, device: torch.device) -> None:
        self.counts = [len(sizes) for sizes in batch.sizes]
        sizes = np.concatenate(batch.sizes)
        self.first = np.cumsum(sizes) - sizes  # (S,) first row
        self.of_row = np.repeat(np.arange(len(sizes)), sizes)  # (R,)
        self.ends = np.cumsum(self.counts)
        self.graph = torch.from_numpy(np.repeat(np.arange(len(self.counts)), self.counts)).to(device)
        self.row_slot = torch.from_numpy(self.of_row).to(device)
        self.uniform = float(np.log(sizes).sum() / len(self.counts))

    def draw(self, scores: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
        """Rows taken, (S, count): the largest of scores with Gumbel noise in each slot."""
        noisy = scores[:, None] + rng.gumbel(size=(len(scores), count))
        best = np.maximum.reduceat(noisy, self.first, axis=0)
        rows, columns = np.nonzero(noisy == best[self.of_row])
        taken = np.zeros((len(self.first), count), np.int64)
        taken[self.of_row[rows], columns] = rows
        return taken

    def choices(self, rows: np.ndarray) -> list[np.ndarray]:
        """By graph, the choices (count, S) that take rows (S, count)."""
        return np.split((rows - self.first[:, None]).T, self.ends[:-1], axis=1)

    def log_probabilities(self, scores: Tensor) -> Tensor:
        """Of every row within its slot, (R,), from scores (R,)."""
        number = len(self.first)
        shifted = scores - scatter(scores.detach(), self.row_slot, 0, number, "max")[self.row_slot]
        log: Tensor = shifted - scatter(shifted.exp(), self.row_slot, 0, number, "sum").log()[self.row_slot]
        return log


@torch.no_grad()
def draw_unmasked(policy: Policy, batch: Batch, samples: int, rng: np.random.Generator) -> list[np.ndarray]:
    """By graph, that many choices (samples, S) with all candidates open: whether they are admitted is not asked."""
    slots = Slots(batch, policy.device)
    return slots.choices(slots.draw(policy(batch).double().cpu().numpy(), samples, rng))


@dataclass(frozen=True)
class SampleSettings:
    """``samples`` are drawn of every graph; ``entropy``: what a nat of the policy's entropy is worth."""

    samples: int
    entropy: float


def critic_based_step(
    steps: PolicySteps, batch: Batch, judge: GainOf, learning: Learning, drawn: SampleSettings, rng: np.random.Generator
) -> dict[str, float]:
    """One update from samples of every graph of a batch. What there is to report of it."""
    policy, device = steps.policy, steps.policy.device
    slots = Slots(batch, device)
    scores = policy(batch)
    rows = slots.draw(scores.detach().double().cpu().numpy(), drawn.samples, rng)
    choices = slots.choices(rows)
    gains = np.stack([judge(graph, each) for graph, each in enumerate(choices)])
    known = np.isfinite(gains)
    values = np.zeros(gains.shape, np.float32)
    if known.any():
        values[known] = advantages(gains[known], np.nonzero(known)[0], learning)
    log = slots.log_probabilities(scores)
    whole = scatter(log[torch.from_numpy(rows).to(device)], slots.graph, 0, len(gains), "sum")
    bits = -(log.exp() * log).sum() / len(gains)
    loss = -(torch.from_numpy(values).to(device) * whole).sum() / max(1, known.sum()) - drawn.entropy * bits
    steps.step(loss)
    gain = float(gains[known].mean()) if known.any() else 0.0
    return {"gain": gain, "entropy": float(bits.detach()), "uniform": slots.uniform}
