"""Regularised evolution (Real et al., "Regularized Evolution for Image Classifier Architecture Search", AAAI 2019,
algorithm 1): the best of a random few gets a child by one mutation, and the oldest dies, however good."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field, model_validator

from nat_plugin.ir import Choice
from nat_plugin.search.base import Measurement, Task
from nat_plugin.search.neighbourhood import neighbours
from nat_plugin.search.per_input import PerInput
from nat_plugin.settings import Settings, State

Member: TypeAlias = tuple[Choice, float]
"""A choice and its gain."""


class EvolutionSettings(Settings):
    """Settings of ``evolution``."""

    population: Annotated[int, Field(ge=2, le=10_000)] = 10
    """Size of the population. The first ones are random."""
    tournament: Annotated[int, Field(ge=1, le=10_000)] = 5
    """How many are drawn from the population; the best of them is the parent."""

    @model_validator(mode="after")
    def _fits(self) -> EvolutionSettings:
        if self.tournament > self.population:
            raise ValueError("tournament is more than population")
        return self


class EvolutionStrategy(PerInput):
    """Regularised evolution: the best of a random sample is mutated, the oldest of the population dies.

    The input itself is the first member where it is within the budget. A child differs from its parent in one slot; a
    parent whose neighbours were all proposed gets a random network for a child. What failed never lives.
    """

    Settings = EvolutionSettings
    settings: EvolutionSettings

    def __init__(self, task: Task, settings: EvolutionSettings) -> None:
        super().__init__(task, settings)
        self._members: list[list[Member]] = [
            [(moves.identity, 0.0)] if moves.admits(moves.identity) else [] for moves in self.moves
        ]
        self._first = [settings.population - len(members) for members in self._members]

    def propose(self, source: int) -> Choice | None:
        if self._first[source] > 0:
            self._first[source] -= 1
            return self.fresh(source)
        return self._child(source) or self.fresh(source)

    def _child(self, source: int) -> Choice | None:
        moves, members = self.moves[source], self._members[source]
        if not members:
            return None
        drawn = self.rng.permutation(len(members))[: self.settings.tournament]
        parent, _ = max((members[number] for number in drawn), key=lambda member: member[1])
        around = neighbours(moves, parent)
        for number in self.rng.permutation(len(around)):
            choice: Choice = around[number]
            if moves.admits(choice) and self.is_new(source, choice):
                return choice
        return None

    def learn(self, source: int, number: int, choice: Choice, found: Measurement | None) -> None:
        del number
        if found is not None:
            self._members[source].append((choice, found.gain))
            del self._members[source][: -self.settings.population]

    def state(self) -> State:
        members = [[[list(choice), gain] for choice, gain in each] for each in self._members]
        return super().state() | {"members": members, "first": list(self._first)}

    def restore(self, state: State) -> None:
        super().restore(state)
        self._members = [[(tuple(choice), gain) for choice, gain in each] for each in state["members"]]
        self._first = list(state["first"])
