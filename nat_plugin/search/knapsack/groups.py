"""The groups of a knapsack: cells, whose costs add up whatever is chosen in them, or the slots of large cells."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nat_plugin.ir import Choice, Moves
from nat_plugin.ir.budget import METRICS, Additive
from nat_plugin.ir.canonical import live

MOST_TOGETHER = 20_000
"""Ways to choose the ops of a cell that are gone through one by one, so that what is dead costs nothing."""
_COLUMNS = {"params": 0, "macs": 1}


@dataclass(frozen=True, eq=False)
class SlotGroup:
    """Slots that are chosen together: all of a ``cell``, or one of it. ``items``: the ways to choose them."""

    cell: str
    first: int
    items: tuple[Choice, ...]
    is_whole: bool

    def harms(self, harms: Sequence[np.ndarray]) -> np.ndarray:
        """From those of the candidates by slot, (items,)."""
        return np.array([sum(float(harms[self.first + i][each]) for i, each in enumerate(item)) for item in self.items])


def groups_of(moves: Moves) -> list[SlotGroup]:
    """One for every cell, or for every slot of a cell that can be chosen in too many ways."""
    found = []
    for name, first, end in moves.parts:
        sizes = [len(options) for options in moves.candidates[first:end]]
        if math.prod(sizes) <= MOST_TOGETHER:
            choices = itertools.product(*map(range, sizes))
            items = tuple(choice for choice in choices if moves.cells[name].total(choice) is not None)
            found.append(SlotGroup(name, first, items, True))
        else:
            found += [SlotGroup(name, first + i, tuple((j,) for j in range(n)), False) for i, n in enumerate(sizes)]
    return found


def is_sum(moves: Moves, name: str) -> bool:
    """Whether a limited metric is a sum over groups."""
    metric = moves.limits.metrics[name]
    return isinstance(metric, Additive) or (name in _COLUMNS and metric is METRICS[name])


def costs(moves: Moves, group: SlotGroup, name: str) -> np.ndarray:
    """What each item of a group takes, (items,). Of a slot by itself as if nothing were dead."""
    metric = moves.limits.metrics[name]
    if isinstance(metric, Additive):
        return np.array([_added(moves, group, item, metric) for item in group.items])
    column = _COLUMNS[name]
    if not group.is_whole:
        return np.array([moves.costs[group.first, index, column] for (index,) in group.items])
    totals = [moves.cells[group.cell].total(item) for item in group.items]
    return np.array([total[column] for total in totals if total is not None], float)


def fixed(moves: Moves, groups: Sequence[SlotGroup], name: str) -> float:
    """What is in no group. Of cells in parts as if nothing were dead."""
    metric = moves.limits.metrics[name]
    if isinstance(metric, Additive):
        return metric.fixed
    column = _COLUMNS[name]
    found = float(moves.base[column])
    for cell in {group.cell for group in groups if not group.is_whole}:
        each = moves.cells[cell]
        found += sum(output[column] for output in each.outputs) + (sum(each.norms) if column == 0 else 0)
        found += sum(costs[0][column] for edge, costs in enumerate(each.costs) if edge not in each.slots)
    return found


def _added(moves: Moves, group: SlotGroup, item: Choice, metric: Additive) -> float:
    slots = moves.slots[group.first : group.first + len(item)]
    ops = [moves.candidates[group.first + i][index] for i, index in enumerate(item)]
    if group.is_whole:
        cell = moves.network.by_name[group.cell].with_ops({slot.index: op for slot, op in zip(slots, ops, strict=True)})
        alive = live(cell).edges
    return sum(
        metric.of(slot, op)
        for slot, op in zip(slots, ops, strict=True)
        if not op.is_null and (not group.is_whole or alive[slot.index])
    )
