"""Rewards made up for tests: a value per op and edge, and for some pairs of edges together; and a run over them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nat_plugin.ir import Moves, Network, Rule, key
from nat_plugin.search.base import Measurement, Strategy

Score = Callable[[Network], float]


def landscape(network: Network, rule: Rule, seed: int, pairs: float = 0.5) -> Score:
    """Additive normal values, plus values of standard deviation ``pairs`` for a fifth of all pairs of slots."""
    rng, moves = np.random.default_rng(seed), Moves(network, rule)
    single = [rng.normal(size=len(options)) for options in moves.candidates]
    joint = {
        (i, j): pairs * rng.normal(size=(len(single[i]), len(single[j])))
        for i in range(len(single))
        for j in range(i + 1, len(single))
        if rng.random() < 0.2
    }

    def score(each: Network) -> float:
        choice = moves.choice(each)
        total = sum(float(values[index]) for values, index in zip(single, choice, strict=True))
        return total + sum(float(table[choice[i], choice[j]]) for (i, j), table in joint.items())

    return score


def of_what_is_computed(score: Score) -> Score:
    """The same score for all networks that compute the same: that of the first which is asked for."""
    known: dict[str, float] = {}

    def found(each: Network) -> float:
        return known.setdefault(key(each), score(each))

    return found


def run(strategy: Strategy, score: Score, evaluations: int, batch: int = 32) -> float:
    """Ask and tell so often; the best gain that was seen."""
    best = -np.inf
    while evaluations > 0:
        proposals = strategy.ask(min(batch, evaluations))
        if not proposals:
            break
        evaluations -= len(proposals)
        for proposal in proposals:
            measurement = Measurement(score(proposal.network), score(proposal.source))
            best = max(best, measurement.gain)
            strategy.tell(proposal, measurement)
    return float(best)
