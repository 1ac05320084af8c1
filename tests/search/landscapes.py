"""Rewards made up for tests, and a run over them."""

from __future__ import annotations

import numpy as np

from benchmarks.spaces.landscapes import Score, landscape
from nat_plugin.ir import Network, key
from nat_plugin.search.base import Measurement, Strategy

__all__ = ["Score", "landscape", "of_what_is_computed", "run"]


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
