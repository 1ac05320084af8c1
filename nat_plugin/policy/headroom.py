"""What the candidates of a network take of its budget, in a unit that is the same for every metric and network.

The headroom of a limit is what it leaves over the least that all slots together can cost. A candidate takes as much of
it as it costs more than the cheapest of its slot, so a choice is within the limit if its shares add up to 1 at most
(dead operations, which cost nothing, apart). Of several limits a candidate has its largest share.

Parameters and MACs add up over edges. Of any other metric a candidate costs what it alone changes in the network. Where
that is not known, or other edges would die with it, it costs as little as the cheapest of its slot that is known; if
there is none, as much as the MACs say.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nat_plugin.errors import NATError
from nat_plugin.ir import Moves, Network, is_connected, live
from nat_plugin.ir.budget import METRICS, Metric

MOST = 4.0
"""Shares are cut off here: what is far over the limit is over the limit."""
_LEAST = 0.02
"""Headroom is at least this part of the limit."""
_COLUMNS = {"params": 0, "macs": 1}


@dataclass(frozen=True, slots=True)
class Headroom:
    """``shares``: of the headroom, by candidate (R,), 0 without a limit; ``spent``: what the network takes itself as
    it is; ``free``: the headroom as a part of the limit. Of the limit that is exceeded most."""

    shares: np.ndarray
    spent: float = 0.0
    free: float = 0.0


def find_headroom(moves: Moves, costs: np.ndarray, sizes: np.ndarray, used: np.ndarray, total: np.ndarray) -> Headroom:
    """``costs``: parameters and MACs of all candidates (R, 2), which slots of ``sizes`` (S,) have; ``used``: those of
    the present op in each slot (S, 2), 0 where it is dead; ``total`` of the network (2,)."""
    tightest = Headroom(np.zeros(len(costs)))
    first = np.cumsum(sizes) - sizes
    for name, limit in moves.limits.values:
        metric, column = moves.limits.metrics[name], _COLUMNS.get(name)
        if column is not None and metric is METRICS[name]:
            per_candidate, current, present = costs[:, column], float(total[column]), float(used[:, column].sum())
        else:
            current = float(metric(moves.network))
            if not np.isfinite(current):
                continue
            scale = current / max(float(total[1]), 1.0)
            per_candidate, present = (
                _changes(moves, metric, current, scale * (costs[:, 1] - np.repeat(costs[first, 1], sizes))),
                0.0,
            )
        cheapest = np.minimum.reduceat(per_candidate, first)
        least = current - present + float(cheapest.sum())
        headroom = max(float(limit) - least, _LEAST * float(limit), 1e-9)
        shares = np.clip((per_candidate - np.repeat(cheapest, sizes)) / headroom, 0, MOST)
        spent = float(np.clip((current - least) / headroom, 0, MOST))
        if spent >= tightest.spent:
            tightest = Headroom(np.maximum(shares, tightest.shares), spent, headroom / max(float(limit), 1e-9))
        else:
            tightest = Headroom(np.maximum(shares, tightest.shares), tightest.spent, tightest.free)
    return tightest


def _changes(moves: Moves, metric: Metric, own: float, otherwise: np.ndarray) -> np.ndarray:
    """What every candidate by itself changes in a metric, (R,)."""
    before = _live(moves.network)
    found, row = [], 0
    for slot, options in enumerate(moves.candidates):
        changes = np.full(len(options), np.nan)
        changes[0] = 0.0
        for index in range(1, len(options)):
            changed = moves.apply((*moves.identity[:slot], index, *moves.identity[slot + 1 :]))
            if is_connected(changed) and _live(changed) >= before - (not moves.nonnull[slot][index]):
                changes[index] = _measured(metric, changed) - own
        known = np.isfinite(changes)
        if known[1:].any():
            changes[~known] = changes[known].min()
        else:
            changes[~known] = otherwise[row : row + len(options)][~known]
        found.append(changes)
        row += len(options)
    return np.concatenate(found)


def _live(network: Network) -> int:
    """How many edges are not dead."""
    return sum(sum(live(cell).edges) for _, cell in network.cells)


def _measured(metric: Metric, network: Network) -> float:
    try:
        return float(metric(network))
    except NATError:
        return np.nan
