"""Search with a predictor: it learns from what was measured, and what it thinks most promising is measured next."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from nat_plugin.ir import Choice
from nat_plugin.search.base import Measurement, Proposal, Task
from nat_plugin.search.per_input import PerInput
from nat_plugin.search.surrogate.acquisition import LEFT_OUT_RANK, Acquisition, AcquisitionSettings
from nat_plugin.search.surrogate.observations import Observation
from nat_plugin.settings import Settings, State


class SurrogateSettings(Settings):
    """Settings of ``surrogate``."""

    first: Annotated[int, Field(ge=2, le=10_000)] = 3
    """Measurements, of all inputs together, before the predictor is used: of random single changes, or, for an input
    over the budget, first of the nearest network within it."""
    candidates: Annotated[int, Field(ge=1, le=100_000)] = 200
    """Networks to choose each proposal from: single changes of the best ones so far, changes of those, random ones."""
    largest: Annotated[int, Field(ge=10, le=5_000)] = 250
    """Maximum number of measurements that the predictor learns from: first the latest of the input itself, then the
    latest of others."""


class SurrogateStrategy(PerInput):
    """Bayesian optimisation: a Gaussian process is fitted to the measurements, and the candidate with the largest
    expected improvement is next.

    One process for all inputs; which candidates it looks at is in ``candidates``.
    """

    Settings = SurrogateSettings
    settings: SurrogateSettings

    def __init__(self, task: Task, settings: SurrogateSettings) -> None:
        super().__init__(task, settings)
        self._acquisition = Acquisition(
            self.moves, self.rng, AcquisitionSettings(settings.candidates, settings.largest, settings.first)
        )

    @property
    def report(self) -> dict[str, float]:
        """How well the predictor ranks what it leaves out; nothing where it was not asked."""
        rank = self._acquisition.left_out_rank
        return {} if rank is None else {LEFT_OUT_RANK: rank}

    def ask(self, count: int) -> list[Proposal]:
        self._acquisition.left_out_rank = None
        return super().ask(count)

    def propose(self, source: int) -> Choice | None:
        order = self._acquisition.order(source, self.waiting(source))
        return next((choice for choice in order if self.is_new(source, choice)), None) or self.fresh(source)

    def learn(self, source: int, number: int, choice: Choice, found: Measurement | None) -> None:
        del number
        if found is not None:
            self._acquisition.observations.add(Observation(source, choice, found.gain, found.source_score))

    def hear(self, source: int, number: int, choice: Choice, found: Measurement) -> None:
        del number
        is_within = self.moves[source].admits(choice)
        told = Observation(source, choice, found.gain, found.source_score, is_within)
        self._acquisition.observations.add(told)

    def state(self) -> State:
        return super().state() | {"acquisition": self._acquisition.state()}

    def restore(self, state: State) -> None:
        super().restore(state)
        self._acquisition.restore(state["acquisition"])
