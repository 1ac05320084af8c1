"""What was told of the user's inputs, as rows and scores for a predictor to learn from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nat_plugin.ir import Choice, Moves
from nat_plugin.search.surrogate.gaussian_process import Space


@dataclass(frozen=True)
class Observation:
    """A measurement: which input, what became of it, what that gained, and the score of the input at that time."""

    source: int
    choice: Choice
    gain: float
    source_score: float


class Observations:
    """The score of an input is the mean of all that were told of it, and what it became is scored as much above that as
    it gained: the two were measured on the same images."""

    def __init__(self, moves: Sequence[Moves]) -> None:
        self.space = Space(moves)
        self.told: list[Observation] = []
        self.by_source: list[list[int]] = [[] for _ in moves]
        self.choices: list[set[Choice]] = [{each.identity} for each in moves]
        """By input: those told, and the input itself."""
        self._rows: list[np.ndarray] = []
        self._inputs = [self.space.rows(number, [each.identity])[0] for number, each in enumerate(moves)]
        self._identities = [each.identity for each in moves]
        self._is_within = [each.admits(each.identity) for each in moves]
        self._sums = [0.0 for _ in moves]

    def add(self, told: Observation) -> None:
        self.by_source[told.source].append(len(self.told))
        self.told.append(told)
        self.choices[told.source].add(told.choice)
        self._rows.append(self.space.rows(told.source, [told.choice])[0])
        self._sums[told.source] += told.source_score

    def best(self, source: int, count: int) -> list[Choice]:
        """The best choices of an input, best first: those with a gain or, of an input that is over the budget, any."""
        least = 0.0 if self._is_within[source] else -math.inf
        mine = [self.told[number] for number in self.by_source[source] if self.told[number].gain > least]
        return [told.choice for told in sorted(mine, key=lambda told: -told.gain)[:count]]

    def training_set(self, source: int, count: int) -> TrainingSet:
        """The latest ``count`` measurements, those of one input before all others, and every input among them."""
        numbers = self.by_source[source][-count:]
        for number in reversed(range(len(self.told))):
            if len(numbers) >= count:
                break
            if self.told[number].source != source:
                numbers.append(number)
        level = {number: self._sums[number] / len(told) for number, told in enumerate(self.by_source) if told}
        sources = sorted({source, *(self.told[number].source for number in numbers)})
        told = [self.told[number] for number in numbers]
        return TrainingSet(
            np.stack([*(self._rows[number] for number in numbers), *(self._inputs[number] for number in sources)]),
            np.array([*(level[each.source] + each.gain for each in told), *(level.get(each, 0.0) for each in sources)]),
            [*((each.source, each.choice) for each in told), *((each, self._identities[each]) for each in sources)],
        )

    def known(self, source: int) -> list[Choice]:
        """All that was told of an input and, where it is within the budget or nothing was told, the input itself."""
        told = [self.told[number].choice for number in self.by_source[source]]
        return [self._identities[source], *told] if self._is_within[source] or not told else told

    def state(self) -> list[Any]:
        return [[each.source, list(each.choice), each.gain, each.source_score] for each in self.told]

    def restore(self, state: list[Any]) -> None:
        """Into a new observations."""
        for source, choice, gain, score in state:
            self.add(Observation(source, tuple(choice), gain, score))


@dataclass(frozen=True)
class TrainingSet:
    """Rows (n, width) and scores (n,) to learn from, and whose they are: input and choice."""

    rows: np.ndarray
    scores: np.ndarray
    owners: list[tuple[int, Choice]]
