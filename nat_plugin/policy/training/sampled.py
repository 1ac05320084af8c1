"""The expected gain among imagined candidates, exactly, in place of REINFORCE: for policies under budgets.

    maximise  sum_a p(a) R(a) + w H(p)        p(a) = pi(a) / sum_c pi(c)     a, c: candidates of one input

Candidates are samples of the policy, of the policy flattened, and of uniform choice, each once; what the judge does not
admit is dropped. As the gain is averaged over all of them and not estimated from one, the gradient has little noise,
and what the policy would hardly draw by itself teaches as well. That matters under a budget: where most of what is
probable is over it, samples of the policy alone are next to never admitted, and nothing is learned of how those
compare that are. For the same reason samples lean to cheap candidates as far as it takes to meet the limits on average
(``headroom``).

The probability of all that is not admitted falls out: decode by ``sampling.greedy``, the likeliest that is admitted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from nat_plugin.policy.geometric import scatter
from nat_plugin.policy.graphs import SHARE, Batch
from nat_plugin.policy.optimizers import PolicySteps
from nat_plugin.policy.training.critic_based import GainOf, SampleSettings, Slots

Tensor = torch.Tensor

TEMPERATURES = (1.0, 3.0, math.inf)
"""By which scores are divided where a third of the candidates each is drawn."""
_STEEPEST, _HALVINGS = 1e3, 18
"""Of the search for how far to lean, in nats for the whole of the headroom."""
_NAMES = np.random.default_rng(0).integers(1, 2**62, 4096)
"""Choices are told apart by their product with these: equal for different ones once in 2^60."""


def sampled_step(
    steps: PolicySteps,
    batch: Batch,
    judge: GainOf,
    drawn: SampleSettings,
    rng: np.random.Generator,
    also: Sequence[np.ndarray] = (),
) -> dict[str, float]:
    """One update from what is ``drawn`` of every graph of a batch at each temperature, and from other choices of each
    (``also``: as many for every graph, (n, S)). What there is to report of it: the expected gain and the entropy (nats)
    over the graphs with two candidates or more, and the share admitted."""
    policy = steps.policy
    slots, scores = Slots(batch, policy.device), policy(batch)
    rows = draw_candidates(slots, batch, scores.detach().double().cpu().numpy(), drawn.samples, rng)
    if also:
        rows = np.concatenate(
            [rows, slots.first[:, None] + np.concatenate([rows_of_graph.T for rows_of_graph in also])], axis=1
        )
    choices = slots.choices(rows)
    gains = np.stack([judge(graph, candidates) for graph, candidates in enumerate(choices)])
    valid = np.isfinite(gains)
    admitted = float(valid.mean())
    valid &= ~_repeated(choices)
    live = valid.sum(axis=1) > 1
    if not live.any():
        return {"gain": 0.0, "entropy": 0.0, "admitted": admitted}
    valid, values = valid[live], np.where(valid, gains, 0.0)[live]
    centred = np.where(valid, values - values.sum(axis=1, keepdims=True) / valid.sum(axis=1, keepdims=True), 0.0)
    spread = math.sqrt(np.mean((centred**2).sum(axis=1) / valid.sum(axis=1)))
    host = np.stack([values, centred / max(spread, 1e-12), valid]).astype(np.float32)
    gain, advantage, admits = torch.from_numpy(host).to(policy.device)
    picked = torch.from_numpy(rows).to(policy.device)
    logits = scatter(scores[picked], slots.graph, 0, len(live), "sum")[torch.from_numpy(live).to(policy.device)]
    log = torch.log_softmax(logits.masked_fill(admits == 0, -1e9), 1) * admits
    share = log.exp() * admits
    bits = -(share * log).sum(1).mean()
    loss = -(share * advantage).sum(1).mean() - drawn.entropy * bits
    steps.step(loss)
    expected, spread_out = torch.stack([(share * gain).sum(1).mean(), bits]).tolist()
    return {"gain": expected, "entropy": spread_out, "admitted": admitted}


def draw_candidates(
    slots: Slots, batch: Batch, scores: np.ndarray, samples: int, rng: np.random.Generator
) -> np.ndarray:
    """Rows taken, (S, samples for each temperature): of the policy whose scores (R,) they are, of it flattened, and
    uniformly."""
    graph = batch.row_graph.cpu().numpy()
    price = batch.row_x[:, SHARE].double().cpu().numpy()
    found = []
    for temperature in TEMPERATURES:
        flat = scores / temperature
        found.append(
            slots.draw(flat - _slope(slots, flat, price, graph, len(batch.sizes))[graph] * price, samples, rng)
        )
    return np.concatenate(found, axis=1)


def _slope(slots: Slots, scores: np.ndarray, price: np.ndarray, graph: np.ndarray, count: int) -> np.ndarray:
    """How much a unit of price, a share of the headroom, must take off the scores of each of ``count`` graphs so that
    the mean price is within that headroom; 0 where it is anyway."""

    def fits(slope: np.ndarray) -> np.ndarray:
        found: np.ndarray = np.bincount(graph, _shares(slots, scores - slope[graph] * price) * price, count) <= 1
        return found

    low, high = np.full(count, 1e-2), np.full(count, _STEEPEST)
    free = fits(np.zeros(count))
    if free.all():
        return np.zeros(count)
    for _ in range(_HALVINGS):
        middle = np.sqrt(low * high)
        enough = fits(middle)
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.where(free, 0.0, high)


def _shares(slots: Slots, scores: np.ndarray) -> np.ndarray:
    """Probability of every row within its slot, (R,)."""
    weights = np.exp(scores - np.maximum.reduceat(scores, slots.first)[slots.of_row])
    found: np.ndarray = weights / np.add.reduceat(weights, slots.first)[slots.of_row]
    return found


def _repeated(choices: Sequence[np.ndarray]) -> np.ndarray:
    """Whether each choice of a graph was there before, (G, count)."""
    names = np.stack([each @ _NAMES[np.arange(each.shape[1]) % len(_NAMES)] for each in choices])
    order = np.argsort(names, axis=1, kind="stable")
    ordered = np.take_along_axis(names, order, axis=1)
    again = np.zeros(names.shape, bool)
    again[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
    found = np.zeros(names.shape, bool)
    np.put_along_axis(found, order, again, axis=1)
    return found
