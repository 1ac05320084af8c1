"""Combinations of changes to look at: those that change least, added up, for what they save."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from nat_plugin.ir import Choice, Moves, Op, Slot
from nat_plugin.ir.budget import Additive
from nat_plugin.search.knapsack.groups import SlotGroup, costs, fixed, groups_of, is_sum
from nat_plugin.search.knapsack.packing import Packing

LATENCY = "latency"
MOST_HARM = 1.0
"""Where the squares of the changes add up to more, the output is another one."""
_TRIED = 200
"""Choices of each size that are asked whether they keep all limits."""


class SavedLatency(Additive):
    """Milliseconds of a network: those of the original less what each of its changes saves by itself."""

    def __init__(self, whole: float, saved: Mapping[tuple[Slot, Op], float]) -> None:
        self._saved = saved
        self._null = {slot: ms for (slot, op), ms in saved.items() if op.is_null}
        self._fixed = whole - sum(self._null.values())

    @property
    def fixed(self) -> float:
        return self._fixed

    def of(self, slot: Slot, op: Op) -> float:
        return self._null.get(slot, 0.0) - self._saved.get((slot, op), 0.0)


def front(moves: Moves, harms: Sequence[np.ndarray], count: int) -> Iterator[Choice]:
    """About ``count`` choices of several changes, from small to large savings of the metric ``latency`` of the limits.
    ``harms``: by slot, of each candidate, infinite for what is not to be used."""
    groups = [_usable(group, harms) for group in groups_of(moves)]
    names = [LATENCY, *(name for name, _ in moves.limits.values if name != LATENCY and is_sum(moves, name))][:2]
    most = dict(moves.limits.values)
    own = moves.limits.metrics[LATENCY](moves.network)
    limits = [float(min(most.get(name, own), own) if name == LATENCY else most[name]) for name in names]
    left = [limit - fixed(moves, groups, name) for limit, name in zip(limits, names, strict=True)]
    spent = [np.stack([costs(moves, group, name) for name in names], axis=1) for group in groups]
    packing = Packing(spent, [group.harms(harms) for group in groups], left)
    reached = packing.front[packing.front[:, -1] <= MOST_HARM]
    if not len(reached):
        return
    found: set[Choice] = {moves.identity}
    for level in np.linspace(left[0], reached[:, 0].min(), count + 1)[1:]:
        for _, chosen in itertools.islice(packing.best_first([level, *left[1:]]), _TRIED):
            choice = tuple(itertools.chain.from_iterable(g.items[i] for g, i in zip(groups, chosen, strict=True)))
            if moves.admits(choice):
                if choice not in found and sum(map(bool, choice)) > 1:
                    yield choice
                found.add(choice)
                break


def _usable(group: SlotGroup, harms: Sequence[np.ndarray]) -> SlotGroup:
    items = zip(group.items, np.isfinite(group.harms(harms)), strict=True)
    return replace(group, items=tuple(item for item, is_finite in items if is_finite))
