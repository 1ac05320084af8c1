"""Search with a predictor: it learns from what was measured, and what it thinks most promising is measured next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Annotated

import numpy as np
from pydantic import Field

from nat_plugin.ir import Choice, Moves
from nat_plugin.policy.ranks import normal_ranks
from nat_plugin.strategies.base import Measurement, Settings, State, Task
from nat_plugin.strategies.nearby import changed, nearest, neighbours
from nat_plugin.strategies.per_input import PerInput
from nat_plugin.strategies.predictor import Kernel, Predictor, Space, expected_improvement, likeliest

_BEST = 3
"""So many of the best known networks have their neighbours looked at."""
_UNIFORM = 4
"""Candidates that are drawn uniformly; dear where a budget is tight."""
_GROWTH = 1.25
"""The kernel is chosen anew when there are so many times as many measurements."""


class SurrogateSettings(Settings):
    """Settings of ``surrogate``."""

    first: Annotated[int, Field(ge=2, le=10_000)] = 3
    """Measurements, of all inputs together, before there is a predictor; they are of random single changes."""
    candidates: Annotated[int, Field(ge=1, le=100_000)] = 200
    """Networks to choose each proposal from: single changes of the best known, further ones of them, random ones."""
    largest: Annotated[int, Field(ge=10, le=5_000)] = 250
    """Measurements the predictor learns from: the latest of the input itself first, then the latest of others."""


@dataclass(frozen=True)
class Told:
    """A measurement: which input, what became of it, what that gained, and the score of the input at that time."""

    source: int
    choice: Choice
    gain: float
    source_score: float


class Memory:
    """What was told, as rows and scores to learn from. The score of an input is the mean of all that were told of it,
    and what it became is scored as much above that as it gained: the two were measured on the same images."""

    def __init__(self, moves: Sequence[Moves]) -> None:
        self.space = Space(moves)
        self.told: list[Told] = []
        self.by_source: list[list[int]] = [[] for _ in moves]
        self.choices: list[set[Choice]] = [{each.identity} for each in moves]
        """By input: those told, and the input itself."""
        self._rows: list[np.ndarray] = []
        self._inputs = [self.space.rows(number, [each.identity])[0] for number, each in enumerate(moves)]
        self._sums = [0.0 for _ in moves]

    def add(self, told: Told) -> None:
        self.by_source[told.source].append(len(self.told))
        self.told.append(told)
        self.choices[told.source].add(told.choice)
        self._rows.append(self.space.rows(told.source, [told.choice])[0])
        self._sums[told.source] += told.source_score

    def best(self, source: int, count: int) -> list[Choice]:
        """The best choices of an input with a gain, best first."""
        mine = [self.told[number] for number in self.by_source[source] if self.told[number].gain > 0]
        return [told.choice for told in sorted(mine, key=lambda told: -told.gain)[:count]]

    def lessons(self, source: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows and scores of the latest ``count`` measurements, those of one input before all others, and of every
        input among them."""
        numbers = self.by_source[source][-count:]
        for number in reversed(range(len(self.told))):
            if len(numbers) >= count:
                break
            if self.told[number].source != source:
                numbers.append(number)
        level = {number: self._sums[number] / len(told) for number, told in enumerate(self.by_source) if told}
        sources = sorted({self.told[number].source for number in numbers})
        rows = [*(self._rows[number] for number in numbers), *(self._inputs[number] for number in sources)]
        scores = [level[self.told[number].source] + self.told[number].gain for number in numbers]
        return np.stack(rows), np.array([*scores, *(level[number] for number in sources)])

    def known(self, source: int) -> np.ndarray:
        """Rows of an input and of all that was told of it."""
        return np.stack([self._inputs[source], *(self._rows[number] for number in self.by_source[source])])


class SurrogateStrategy(PerInput):
    """A predictor trained on what was measured of all inputs; the most promising of many candidates is proposed.

    A Gaussian process on the ranks of scores, and expected improvement over the best of the input. What is proposed but
    not told yet counts as measured as predicted, so that several proposals at once are unlike each other.
    """

    Settings = SurrogateSettings
    settings: SurrogateSettings

    def __init__(self, task: Task, settings: SurrogateSettings) -> None:
        super().__init__(task, settings)
        self._start = [nearest(moves, moves.identity) for moves in self.moves]
        self._memory = Memory(self.moves)
        self._kernel: tuple[Kernel, int] | None = None  # and on how many measurements it was chosen

    def propose(self, source: int) -> Choice | None:
        enough = len(self._memory.told) >= self.settings.first
        return (self._promising(source) if enough else self._single_change(source)) or self.fresh(source)

    def _single_change(self, source: int) -> Choice | None:
        around = neighbours(self.moves[source], self._start[source])
        return self._first_new(source, [around[number] for number in self.rng.permutation(len(around))])

    def _first_new(self, source: int, choices: list[Choice]) -> Choice | None:
        admits = self.moves[source].admits
        return next((choice for choice in choices if admits(choice) and self.is_new(source, choice)), None)

    def _promising(self, source: int) -> Choice | None:
        candidates = self._candidates(source)
        if not candidates:
            return None
        memory, space = self._memory, self._memory.space
        x, scores = memory.lessons(source, self.settings.largest)
        y = normal_ranks(scores)
        kernel = self._chosen_kernel(x, y)
        predictor = Predictor(x, y, kernel)
        best = float(predictor.mean(memory.known(source)).max())
        waiting = self.waiting(source)
        if waiting:
            rows = space.rows(source, waiting)
            x, y = np.concatenate([x, rows]), np.concatenate([y, predictor.mean(rows)])
            predictor = Predictor(x, y, kernel)
        mean, deviation = predictor.distribution(space.rows(source, candidates))
        order = np.argsort(-expected_improvement(mean, deviation, best), kind="stable")
        return self._first_new(source, [candidates[number] for number in order])

    def _chosen_kernel(self, x: np.ndarray, y: np.ndarray) -> Kernel:
        count = len(self._memory.told)
        if self._kernel is None or count >= _GROWTH * self._kernel[1]:
            self._kernel = likeliest(x, y), count
        return self._kernel[0]

    def _candidates(self, source: int) -> list[Choice]:
        """Neighbours of the best known, then further changes of these, and a few drawn uniformly."""
        moves, count = self.moves[source], self.settings.candidates
        known = self._memory.choices[source] | set(self.waiting(source))
        bases = [*self._memory.best(source, _BEST), self._start[source]][:_BEST]
        around = [choice for base in bases for choice in neighbours(moves, base)]
        mutants = (self._mutant(moves, bases[self.rng.integers(len(bases))]) for _ in range(count))
        found: dict[Choice, None] = dict.fromkeys(moves.sample(self.rng) for _ in range(_UNIFORM))
        for choice in chain((around[number] for number in self.rng.permutation(len(around))), mutants):
            if len(found) >= count:
                break
            if choice not in found and choice not in known and moves.admits(choice):
                found[choice] = None
        return [choice for choice in found if choice not in known]

    def _mutant(self, moves: Moves, choice: Choice) -> Choice:
        """A random op, perhaps the same, in two slots, or in more with falling probability."""
        slots = min(len(choice), 1 + int(self.rng.geometric(0.5)))
        for slot in self.rng.permutation(len(choice))[:slots]:
            choice = changed(choice, int(slot), int(self.rng.integers(len(moves.candidates[slot]))))
        return choice

    def learn(self, source: int, number: int, choice: Choice, found: Measurement | None) -> None:
        del number
        if found is not None:
            self._memory.add(Told(source, choice, found.gain, found.source_score))

    def state(self) -> State:
        told = self._memory.told
        return super().state() | {
            "told": [[each.source, list(each.choice), each.gain, each.source_score] for each in told],
            "kernel": None if self._kernel is None else [list(self._kernel[0]), self._kernel[1]],
        }

    def restore(self, state: State) -> None:
        super().restore(state)
        self._memory = Memory(self.moves)
        for source, choice, gain, score in state["told"]:
            self._memory.add(Told(source, tuple(choice), gain, score))
        kernel = state["kernel"]
        self._kernel = None if kernel is None else ((kernel[0][0], kernel[0][1]), kernel[1])
