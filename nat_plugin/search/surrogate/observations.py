"""What was told of the user's inputs, as points and scores for a process to learn from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nat_plugin.ir import Choice, Moves
from nat_plugin.search.surrogate.gaussian_process import ChoiceSpace

_TOP = 16
"""So many of the best of an input are known by rank."""


@dataclass(frozen=True)
class Observation:
    """A measurement: which input, what became of it, what that gained, and the score of the input at that time.
    ``is_within``: whether it keeps the limits; what does not says something of others, and is no result."""

    source: int
    choice: Choice
    gain: float
    source_score: float
    is_within: bool = True


@dataclass(frozen=True)
class TrainingSet:
    """Names and scores (n,) to learn from. The name of an observation is its number, that of the input with number s is
    -1 - s."""

    names: list[int]
    scores: np.ndarray


class Observations:
    """The score of an input is the mean of all that were told of it, and what it became is scored as much above that as
    it gained: the two were measured on the same images."""

    def __init__(self, moves: Sequence[Moves]) -> None:
        self.space = ChoiceSpace(moves)
        self.told: list[Observation] = []
        self.by_source: list[list[int]] = [[] for _ in moves]
        self.choices: list[set[Choice]] = [{each.identity} for each in moves]
        """By input: those told, and the input itself."""
        self._identities = [each.identity for each in moves]
        self._is_within = [each.admits(each.identity) for each in moves]
        self._sums = [0.0 for _ in moves]
        self._top: list[list[int]] = [[] for _ in moves]  # the best of each input, best first
        self._old_top: dict[int, tuple[int, list[int]]] = {}  # how many are left out, and the best of these

    def add(self, told: Observation) -> None:
        number = len(self.told)
        self.told.append(told)
        self.by_source[told.source].append(number)
        self.choices[told.source].add(told.choice)
        self._sums[told.source] += told.source_score
        if told.is_within:
            self._top[told.source] = self._best_of([*self._top[told.source], number])

    def _best_of(self, numbers: list[int]) -> list[int]:
        return sorted(numbers, key=lambda number: (-self.told[number].gain, number))[:_TOP]

    def owner(self, name: int) -> tuple[int, Choice]:
        """Whose a name is: input and choice."""
        if name < 0:
            return -1 - name, self._identities[-1 - name]
        return self.told[name].source, self.told[name].choice

    def best(self, source: int, count: int) -> list[Choice]:
        """Up to ``_TOP`` best choices of an input, best first: those with a gain or, of an input that is over the
        budget, any."""
        least = 0.0 if self._is_within[source] else -math.inf
        mine = (self.told[number] for number in self._top[source])
        return [told.choice for told in mine if told.gain > least][:count]

    def training_set(self, source: int, count: int) -> TrainingSet:
        """At most ``count`` measurements: the latest of the input and a few of its best, then the latest of others; and
        every input among them, before the first that was measured of it.

        The oldest go by the quarter, not one by one, so that nearly always the set is the last one with some more."""
        numbers = list(range(len(self.told))) if len(self.told) <= count else self._chosen(source, count)
        names: list[int] = []
        seen: set[int] = set()
        for number in numbers:
            owner = self.told[number].source
            if owner not in seen:
                seen.add(owner)
                names.append(-1 - owner)
            names.append(number)
        if source not in seen:
            names.append(-1 - source)
        return TrainingSet(names, np.array([self._score(name) for name in names]))

    def _score(self, name: int) -> float:
        source = -1 - name if name < 0 else self.told[name].source
        count = len(self.by_source[source])
        level = self._sums[source] / count if count else 0.0
        return level if name < 0 else level + self.told[name].gain

    def _chosen(self, source: int, count: int) -> list[int]:
        """Of more than ``count`` measurements."""
        step, own = max(1, count // 4), self.by_source[source]
        top = min(_TOP, count // 8)
        old = _left_out(len(own), count - top, step)
        kept = self._best_old(source, old)[:top] + own[old:]
        room = count - step * math.ceil(len(kept) / step)
        others = len(self.told) - len(own)
        wanted = others - _left_out(others, room, step) if room > 0 else 0
        for number in range(len(self.told) - 1, -1, -1):
            if wanted <= 0:
                break
            if self.told[number].source != source:
                kept.append(number)
                wanted -= 1
        return sorted(kept)

    def _best_old(self, source: int, count: int) -> list[int]:
        """The best of the first ``count`` of an input."""
        before, best = self._old_top.get(source, (0, []))
        if before > count:
            before, best = 0, []
        best = self._best_of([*best, *self.by_source[source][before:count]])
        self._old_top[source] = count, best
        return best

    def is_result(self, name: int, source: int) -> bool:
        """Whether what has that name can be a result for an input: what was told of it that is within the budget, and
        where it is within itself or nothing was told the input."""
        if name >= 0:
            return self.told[name].source == source and self.told[name].is_within
        return -1 - name == source and (self._is_within[source] or not self.by_source[source])

    def state(self) -> list[Any]:
        return [[each.source, list(each.choice), each.gain, each.source_score, each.is_within] for each in self.told]

    def restore(self, state: list[Any]) -> None:
        """Into a new observations."""
        for source, choice, gain, score, is_within in state:
            self.add(Observation(source, tuple(choice), gain, score, is_within))


def _left_out(count: int, room: int, step: int) -> int:
    """How many of ``count`` go so that the rest fit, by whole steps."""
    return 0 if count <= room else min(count, step * math.ceil((count - room) / step))
