"""An exact knapsack over tables of cost and harm, as papers on compression of depth choose layers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from nat_plugin.ir import Choice, Moves
from nat_plugin.search.base import Measurement, Task
from nat_plugin.search.knapsack.groups import SlotGroup, costs, fixed, groups_of, is_sum
from nat_plugin.search.knapsack.harms import harms
from nat_plugin.search.knapsack.packing import Packing
from nat_plugin.search.neighbourhood import changed, descent
from nat_plugin.search.per_input import PerInput
from nat_plugin.settings import Settings, State

MOST_LIMITS = 2
"""So many limits on sums are part of the programme; what breaks any other limit is passed over."""


class KnapsackSettings(Settings):
    """Settings of ``knapsack``."""

    singles: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of the planned evaluations for single changes, if there are more single changes than that."""


class KnapsackStrategy(PerInput):
    """Knapsack: measures single changes, then proposes combinations within the budget by the sum of their losses, the
    smallest first, by exact dynamic programming.

    From an input over the budget no single change can be measured: it goes together with random further ones down to
    the budget, and the harm of each follows by least squares. Single changes go by slots in turn, each slot's in random
    order.
    """

    Settings = KnapsackSettings
    settings: KnapsackSettings
    needs_sums = True

    def __init__(self, task: Task, settings: KnapsackSettings) -> None:
        super().__init__(task, settings)
        self._singles = [self._drawn(moves) for moves in self.moves]
        self._at = [0 for _ in self.moves]
        self._measured: list[list[tuple[int, Choice, float]]] = [[] for _ in self.moves]  # with numbers of proposals
        self._combinations: list[Iterator[Choice] | None] = [None for _ in self.moves]

    def propose(self, source: int) -> Choice | None:
        singles = self._singles[source]
        while self._at[source] < len(singles):
            single, choice = singles[self._at[source]]
            self._at[source] += 1
            if self.is_new(source, choice) and self.is_new(source, single):
                return choice
        if self._combinations[source] is None:
            if self.waiting(source):
                return None
            self._combinations[source] = self._ordered(source)
        combinations = self._combinations[source]
        assert combinations is not None
        return next((choice for choice in combinations if self.is_new(source, choice)), None)

    def hear(self, source: int, number: int, choice: Choice, found: Measurement) -> None:
        self.learn(source, number, choice, found)

    def learn(self, source: int, number: int, choice: Choice, found: Measurement | None) -> None:
        if self._combinations[source] is None and found is not None:
            self._measured[source].append((number, choice, -found.gain))

    def _drawn(self, moves: Moves) -> list[tuple[Choice, Choice]]:
        """Every single change, and as it can be measured."""
        queues = [list(self.rng.permutation(np.arange(1, len(options)))) for options in moves.candidates]
        turns = itertools.zip_longest(*queues)
        singles = [(slot, int(index)) for turn in turns for slot, index in enumerate(turn) if index is not None]
        if self.task.evaluations is not None:
            singles = singles[: max(1, round(self.settings.singles * self.task.evaluations / len(self.task.inputs)))]
        found: dict[Choice, Choice] = {}
        for slot, index in singles:
            single: Choice = changed(moves.identity, slot, index)
            measured = single if moves.admits(single) else descent(moves, self.rng, single)
            if measured is not None and moves.admits(measured):
                found.setdefault(measured, single)
        return [(single, measured) for measured, single in found.items()]

    def _ordered(self, source: int) -> Iterator[Choice]:
        measured = [(choice, harm) for _, choice, harm in sorted(self._measured[source])]
        return combinations(self.moves[source], harms(self.moves[source], measured))

    def state(self) -> State:
        return super().state() | {
            "at": list(self._at),
            "measured": [[[number, list(choice), harm] for number, choice, harm in each] for each in self._measured],
            "packed": [each is not None for each in self._combinations],
        }

    def restore(self, state: State) -> None:
        """Combinations begin anew, and what was proposed is passed over."""
        super().restore(state)
        self._at = list(state["at"])
        self._measured = [[(number, tuple(choice), harm) for number, choice, harm in of] for of in state["measured"]]
        self._combinations = [self._ordered(n) if packed else None for n, packed in enumerate(state["packed"])]


def combinations(moves: Moves, harms: Sequence[np.ndarray]) -> Iterator[Choice]:
    """Choices within the budget, the one of which the harms of all changes add up to least first."""
    groups = groups_of(moves)
    limits = [(name, float(limit)) for name, limit in moves.limits.values if is_sum(moves, name)][:MOST_LIMITS]
    left = [limit - fixed(moves, groups, name) for name, limit in limits]
    spent = [_table(moves, group, [name for name, _ in limits]) for group in groups]
    for _, chosen in Packing(spent, [group.harms(harms) for group in groups], left).best_first():
        choice = tuple(itertools.chain.from_iterable(g.items[i] for g, i in zip(groups, chosen, strict=True)))
        if moves.admits(choice):
            yield choice


def _table(moves: Moves, group: SlotGroup, names: Sequence[str]) -> np.ndarray:
    """What each item of a group takes of each limit, (items, limits)."""
    columns = [costs(moves, group, name) for name in names]
    return np.stack(columns, axis=1) if columns else np.zeros((len(group.items), 0))
