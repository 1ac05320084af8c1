"""What to measure next: a predictor learns from all that was told, and orders many candidates by expected improvement.

A policy, where there is one, is the prior of the predictor: before anything is told, its order is the order. It is
dropped as long as what was measured is likelier without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from math import log
from typing import Any, TypeAlias

import numpy as np

from nat_plugin.ir import Choice, Moves
from nat_plugin.policy.ranks import normal_ranks
from nat_plugin.search.neighbourhood import changed, descent, neighbours, projection
from nat_plugin.search.surrogate.gaussian_process import Kernel, Predictor, expected_improvement, likeliest
from nat_plugin.search.surrogate.observations import Observations

_BEST = 3
"""So many of the best known networks have their neighbours looked at."""
_UNIFORM = 4
"""Candidates that are drawn uniformly; dear where a budget is tight."""
_DESCENTS = 16
"""The same where the input is over the budget, and uniform ones are far below it."""
_GROWTH = 1.25
"""The kernel is chosen anew when there are so many times as many measurements."""

_FAITH = 2.0
"""By so many nats what was measured has to be likelier without the prior."""

Prior: TypeAlias = Callable[[int, Sequence[Choice]], np.ndarray]
"""What is thought of choices (n,) of an input before anything is measured, in units of the spread among all."""


class Acquisition:
    """Candidates of every input in the order in which they are worth measuring.

    A Gaussian process on the ranks of scores. What is proposed but not told yet counts as measured as predicted, so
    that several proposals at once are unlike each other. ``candidates``: to choose from; ``largest``: measurements to
    learn from, the latest of the input itself first.
    """

    def __init__(
        self,
        moves: Sequence[Moves],
        rng: np.random.Generator,
        candidates: int,
        largest: int,
        prior: Prior | None = None,
        first: int = 0,
    ) -> None:
        self._moves, self._rng, self._count, self._largest, self._prior = moves, rng, candidates, largest, prior
        self._first = first
        self.observations = Observations(moves)
        self.start = [projection(each, each.identity) for each in moves]
        """What to go out from: the inputs, or the nearest within the budget."""
        self._model: tuple[Kernel, float, int] | None = None
        """Kernel, share of the prior, and on how many measurements they were chosen."""

    def order(self, source: int, waiting: Sequence[Choice], also: Sequence[Choice] = ()) -> Iterator[Choice]:
        """The most promising first; ``also`` are among the candidates, ``waiting`` are not."""
        if len(self.observations.told) < self._first:
            yield from self._beginnings(source)
            return
        candidates = self._candidates(source, waiting, also)
        if candidates:
            mean, deviation, best = self._predicted(source, waiting, candidates)
            for number in np.argsort(-expected_improvement(mean, deviation, best), kind="stable"):
                yield candidates[number]

    def _beginnings(self, source: int) -> Iterator[Choice]:
        moves, start = self._moves[source], self.start[source]
        around = neighbours(moves, start)
        shuffled = (around[number] for number in self._rng.permutation(len(around)))
        yield from (choice for choice in chain([start], shuffled) if moves.admits(choice))

    def _predicted(
        self, source: int, waiting: Sequence[Choice], candidates: Sequence[Choice]
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """Mean and deviation of candidates, and the best mean of what is known."""
        observations, space = self.observations, self.observations.space
        training_set = observations.training_set(source, self._largest)
        x, ranks, before = training_set.rows, normal_ranks(training_set.scores), self._before(training_set.owners)
        kernel, share = self._chosen_model(x, ranks, before)
        y = ranks - share * before
        predictor = Predictor(x, y, kernel)
        known = observations.known(source)
        best = float((predictor.mean(space.rows(source, known)) + share * self._of(source, known)).max())
        if waiting:
            rows = space.rows(source, waiting)
            predictor = Predictor(np.concatenate([x, rows]), np.concatenate([y, predictor.mean(rows)]), kernel)
        mean, deviation = predictor.distribution(space.rows(source, candidates))
        return mean + share * self._of(source, candidates), deviation, best

    def _of(self, source: int, choices: Sequence[Choice]) -> np.ndarray:
        return np.zeros(len(choices)) if self._prior is None else self._prior(source, choices)

    def _before(self, owners: Sequence[tuple[int, Choice]]) -> np.ndarray:
        return np.array([self._of(source, [choice])[0] for source, choice in owners])

    def _chosen_model(self, x: np.ndarray, ranks: np.ndarray, before: np.ndarray) -> tuple[Kernel, float]:
        """The likeliest kernel, and whether the prior counts."""
        count = len(self.observations.told)
        if self._model is None or count >= _GROWTH * self._model[2]:
            shares = (1.0,) if self._prior is None else (1.0, 0.0)
            models = [(likeliest(x, ranks - share * before), share) for share in shares]
            kernel, share = max(models, key=lambda one: _evidence(x, ranks - one[1] * before, *one))
            self._model = kernel, share, count
        return self._model[0], self._model[1]

    def _candidates(self, source: int, waiting: Sequence[Choice], also: Sequence[Choice]) -> list[Choice]:
        """What is over the limits is brought within by ``descent``: so an op that comes back is paid for elsewhere."""
        moves = self._moves[source]
        known = self.observations.choices[source] | set(waiting)
        found: dict[Choice, None] = dict.fromkeys(also)
        for choice in self._drawn(moves, [*self.observations.best(source, _BEST), self.start[source]][:_BEST]):
            if len(found) >= self._count:
                break
            if choice in found or choice in known:
                continue
            within = choice if moves.admits(choice) else descent(moves, self._rng, choice)
            if within is not None and within not in known:
                found[within] = None
        return [choice for choice in found if choice not in known]

    def _drawn(self, moves: Moves, bases: list[Choice]) -> Iterator[Choice]:
        """A few at random, neighbours of the bases, and further changes of these."""
        near = [choice for base in bases for choice in neighbours(moves, base)]
        mutants = (self._mutant(moves, bases[self._rng.integers(len(bases))]) for _ in range(self._count))
        if moves.admits(moves.identity) or moves.total(moves.identity) is None:
            yield from [moves.sample(self._rng) for _ in range(_UNIFORM)]
            yield from chain((near[number] for number in self._rng.permutation(len(near))), mutants)
        else:  # over the budget; most single changes that are within lie far below it: half are others
            around = (near[number] for number in self._rng.permutation(len(near)))
            walks = [descent(moves, self._rng) for _ in range(_DESCENTS)]
            yield from (walk for walk in walks if walk is not None)
            yield from chain(chain.from_iterable(zip(around, mutants, strict=False)), around, mutants)

    def _mutant(self, moves: Moves, choice: Choice) -> Choice:
        """A random op, perhaps the same, in two slots, or in more with falling probability."""
        slots = min(len(choice), 1 + int(self._rng.geometric(0.5)))
        for slot in self._rng.permutation(len(choice))[:slots]:
            choice = changed(choice, int(slot), int(self._rng.integers(len(moves.candidates[slot]))))
        return choice

    def state(self) -> dict[str, Any]:
        model = None if self._model is None else [list(self._model[0]), *self._model[1:]]
        return {"told": self.observations.state(), "model": model}

    def restore(self, state: dict[str, Any]) -> None:
        self.observations = Observations(self._moves)
        self.observations.restore(state["told"])
        model = state["model"]
        self._model = None if model is None else ((model[0][0], model[0][1]), model[1], model[2])


def _evidence(x: np.ndarray, y: np.ndarray, kernel: Kernel, share: float) -> float:
    """How likely values are, in nats, with ``_FAITH`` on the side of the prior."""
    spread = float(y.std()) or 1.0  # what the predictor divides by
    return Predictor(x, y, kernel).log_likelihood - len(y) * log(spread) + _FAITH * share
