"""The expected gain over all that an input may become, exactly, where that can be enumerated and judged.

    maximise  sum_a p(a) R(a) + t H(p)        p(a) = pi(a) / sum_c pi(c)     a, c: every candidate of one input

The rule of ``nat_plugin.policy.training.sampled`` without samples: no noise in the gradient, and nothing is missed
because it is improbable. What maximises it is p ~ exp(R / t), so the temperature t says how much worse a candidate may
be and still be tried; lowered slowly it leaves the best. Gains are in the unit of t, not divided by their spread.

The probability of all that is no candidate falls out: decode by ``sampling.greedy``, the likeliest that is admitted.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from nat_plugin.policy.geometric import scatter
from nat_plugin.policy.graphs import Batch
from nat_plugin.policy.optimizers import PolicySteps

Tensor = torch.Tensor


def log_shares(scores: Tensor, batch: Batch, choices: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """The log-probabilities of the candidates of every graph among each other, one after another, from scores (R,) and
    choices (K, S) of each; and whose each is."""
    rows = []
    for sizes, choice, first in zip(batch.sizes, choices, batch.first, strict=False):
        rows.append((first + np.cumsum(sizes) - sizes + choice).ravel())
    counts = np.array([len(choice) for choice in choices])
    slots = np.repeat([choice.shape[1] for choice in choices], counts)
    of_row = torch.from_numpy(np.repeat(np.arange(len(slots)), slots)).to(scores.device)
    owner = torch.from_numpy(np.repeat(np.arange(len(counts)), counts)).to(scores.device)
    picked = scores[torch.from_numpy(np.concatenate(rows)).to(scores.device)]
    whole = scatter(picked, of_row, 0, len(slots), "sum")
    shifted = whole - scatter(whole.detach(), owner, 0, len(counts), "max")[owner]
    return shifted - scatter(shifted.exp(), owner, 0, len(counts), "sum").log()[owner], owner


def exact_step(
    steps: PolicySteps, batch: Batch, choices: Sequence[np.ndarray], gains: Sequence[np.ndarray], temperature: float
) -> dict[str, float]:
    """One update from all candidates of every graph of a batch, choices (K, S) and their gains (K,), one at least. What
    there is to report of it: how far the expected gain is from the best, and the entropy (nats)."""
    policy = steps.policy
    log, _ = log_shares(policy(batch), batch, choices)
    behind = np.concatenate([each.max() - each for each in gains]).astype(np.float32)
    share = log.exp()
    regret = (share * torch.from_numpy(behind).to(policy.device)).sum() / len(gains)
    bits = -(share * log).sum() / len(gains)
    loss = regret - temperature * bits
    steps.step(loss)
    behind_best, spread = torch.stack([regret.detach(), bits.detach()]).tolist()
    return {"regret": behind_best, "entropy": spread}
