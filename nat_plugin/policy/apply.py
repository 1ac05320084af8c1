"""A trained policy on new architectures, with no evaluation at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from nat_plugin.ir import Budget, Choice, Moves, Network, Rule
from nat_plugin.policy.graphs import build_batch, build_graph
from nat_plugin.policy.network import Policy
from nat_plugin.policy.sampling import draw, greedy, score_batch

CHUNK = 512
"""Graphs in one pass: few enough that what passes between the layers stays near the processor."""


def decode(policy: Policy, moves: Sequence[Moves]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Scores (R,) and sizes (S,) of each network's slots, in batches."""
    for start in range(0, len(moves), CHUNK):
        part = moves[start : start + CHUNK]
        batch = build_batch([build_graph(each.network, each) for each in part], policy.device)
        yield from zip(score_batch(policy, batch), batch.sizes, strict=True)


def transform(
    networks: Sequence[Network], rule: Rule, budget: Budget, policy: Policy, samples: int = 0, seed: int = 0
) -> list[Network]:
    """What the policy makes of each network; relative limits are relative to each.

    Greedy, or with ``samples`` the most probable of so many samples and the greedy one (under a tight budget the greedy
    one need not be the best). Raises NATError if nothing legal fits the budget of a network.
    """
    moves = [Moves(network, rule, budget.resolve(network)) for network in networks]
    return apply_policy(moves, policy, samples, seed)


def apply_policy(moves: Sequence[Moves], policy: Policy, samples: int = 0, seed: int = 0) -> list[Network]:
    """``transform`` for moves that are known. What becomes of one does not depend on the others."""
    found = []
    with torch.no_grad():
        for each, (scores, sizes) in zip(moves, decode(policy, moves), strict=True):
            choice = greedy(scores, sizes, each)
            if samples:
                rng = np.random.default_rng(seed)  # the same for each, so that none depends on those before it
                tried = [choice, *(sample.choice for sample in draw(scores, sizes, each, rng, samples))]
                choice = max(tried, key=lambda one: _plain(scores, sizes, one))
            found.append(each.apply(choice) if any(choice) else each.network)
    return found


def _plain(scores: np.ndarray, sizes: np.ndarray, choice: Choice) -> float:
    """Log-probability of a choice without masks, up to a constant."""
    return float(scores[np.cumsum(sizes) - sizes + np.array(choice, np.int64)].sum())
