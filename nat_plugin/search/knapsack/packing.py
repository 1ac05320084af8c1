"""Choose one item of every group so that the sum of harms is least and every sum of costs keeps its limit.

Dynamic programming over the groups: of the ways to choose from the last of them only those stay to which no other is
better in harm and all costs. From these follows for any beginning how it can end best, so that all choices are named in
order of their harm, as many as are asked for.
"""

from __future__ import annotations

import heapq
import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

import numpy as np

MOST = {0: 1, 1: 20_000, 2: 4_000}
"""So many ways stay by number of limits. Where there are more, costs are rounded up to a grid, the finest that leaves
no more: limits are kept still, but the order is exact only to that grid."""
_FINEST = 2**16
_TOLERANCE = 1e-12


class Packing:
    """``costs``: of every group (items, limits), ``harms``: of every group (items,); ``limits``: at most two."""

    def __init__(self, costs: Sequence[np.ndarray], harms: Sequence[np.ndarray], limits: Sequence[float]) -> None:
        self._costs, self._harms = costs, harms
        self._limits = np.array(limits, float)
        self._slack = _TOLERANCE * np.abs(self._limits)
        self.is_exact = True
        """Whether no cost had to be rounded."""
        count = len(self._limits)
        least = [each.min(axis=0) for each in costs]
        before = [np.zeros(count), *itertools.accumulate(least)] if costs else [np.zeros(count)]
        ends = [np.zeros((1, count + 1))]
        for number in reversed(range(len(costs))):
            ends.append(self._joined(number, ends[-1], self._limits - before[number]))
        self._ends = ends[::-1]

    @property
    def front(self) -> np.ndarray:
        """Costs and harm of the choices to which no other is better in all, (choices, limits + 1); with one limit by
        rising cost."""
        return self._ends[0]

    def best_first(self, limits: Sequence[float] | None = None) -> Iterator[tuple[float, tuple[int, ...]]]:
        """All choices that keep the limits, or lower ones, with their harm, the least first."""
        allowed = self._limits if limits is None else np.minimum(np.array(limits, float), self._limits)
        order = itertools.count()
        count = len(self._limits)
        start = self._best_end(0, allowed)
        waiting: list[tuple[float, int, float, np.ndarray, tuple[int, ...]]] = []
        if np.isfinite(start):
            waiting.append((start, next(order), 0.0, np.zeros(count), ()))
        while waiting:
            _, _, harm, spent, chosen = heapq.heappop(waiting)
            group = len(chosen)
            if group == len(self._costs):
                yield harm, chosen
                continue
            for item, (cost, more) in enumerate(zip(self._costs[group], self._harms[group], strict=True)):
                end = self._best_end(group + 1, allowed - spent - cost)
                if np.isfinite(end):
                    entry = (harm + more + end, next(order), harm + float(more), spent + cost, (*chosen, item))
                    heapq.heappush(waiting, entry)

    def _best_end(self, group: int, left: np.ndarray) -> float:
        """The least harm of all groups from this one on within what is left; infinite where nothing is."""
        ends, left = self._ends[group], left + self._slack
        if not len(ends):
            return np.inf
        if len(left) == 1:  # sorted by cost, harm falls
            row = bisect_right(ends[:, 0], left[0]) - 1
            return float(ends[row, 1]) if row >= 0 else np.inf
        fits = (ends[:, :-1] <= left).all(axis=1)
        return float(ends[fits, -1].min(initial=np.inf))

    def _joined(self, group: int, ends: np.ndarray, left: np.ndarray) -> np.ndarray:
        """The undominated ways to choose from a group and all after it, within what those before it leave at most."""
        items = np.column_stack([self._costs[group], self._harms[group]])
        items = undominated(items)
        found = (items[:, None, :] + ends[None, :, :]).reshape(-1, items.shape[1])
        found = undominated(found[(found[:, :-1] <= left + self._slack).all(axis=1)])
        most, grid = MOST[len(left)], _FINEST
        thinned = found
        while len(thinned) > most and grid:
            self.is_exact = False
            least = found[:, :-1].min(axis=0)
            step = np.maximum(np.ptp(found[:, :-1], axis=0) / grid, _TOLERANCE)
            rounded = found.copy()
            rounded[:, :-1] = least + np.ceil((found[:, :-1] - least) / step) * step
            thinned = undominated(rounded[(rounded[:, :-1] <= left + self._slack).all(axis=1)])
            grid //= 2
        return thinned


def undominated(rows: np.ndarray) -> np.ndarray:
    """Rows of costs and a harm to which no other is at most equal in all; by rising first cost."""
    if rows.shape[1] == 1:
        return rows[[rows[:, 0].argmin()]] if len(rows) else rows
    rows = rows[np.lexsort(rows.T[::-1])]
    if rows.shape[1] == 2:
        best = np.minimum.accumulate(np.concatenate([[np.inf], rows[:-1, 1]]))
        return rows[rows[:, 1] < best] if len(rows) else rows
    kept: list[int] = []
    costs: list[float] = []
    harms: list[float] = []  # they fall along second costs, of all rows with no larger first cost
    for number, (_, cost, harm) in enumerate(rows.tolist()):
        place = bisect_right(costs, cost)
        if place and harms[place - 1] <= harm:
            continue
        end = place
        while end < len(harms) and harms[end] >= harm:
            end += 1
        start = bisect_left(costs, cost, 0, place)
        costs[start:end], harms[start:end] = [cost], [harm]
        kept.append(number)
    return rows[kept]
