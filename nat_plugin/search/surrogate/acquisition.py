"""What to measure next: a process learns from all that was told, and orders many candidates by expected improvement.

A prior, where there is one, is what the process starts from. As much of it counts as makes what was measured likeliest,
which may be nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, TypeVar

import numpy as np

from nat_plugin.ir import Choice, Moves
from nat_plugin.policy.ranks import normal_ranks
from nat_plugin.search.neighbourhood import neighbours, projection
from nat_plugin.search.surrogate.candidates import KEPT, KEPT_SLOW, Candidates
from nat_plugin.search.surrogate.gaussian_process import (
    LENGTHS,
    NOISES,
    GaussianProcess,
    Kernel,
    Points,
    Posterior,
    expected_improvement,
    likeliest,
)
from nat_plugin.search.surrogate.observations import Observations
from nat_plugin.search.surrogate.prior import NoPrior, Prior

LEFT_OUT_RANK = "left_out_rank"
"""The name of ``left_out_rank`` among the figures of a round."""
_Name = TypeVar("_Name")
_Value = TypeVar("_Value")

_BEST = 3
"""So many of the best known networks have their neighbours looked at."""
_GROWTH = 1.25
"""The kernel is chosen anew when there are so many times as many measurements."""
_SHARES = {True: {1.0: 0.0, 0.0: -2.0}, False: {1.0: -2.0, 0.0: 0.0}}
"""By whether a prior is sure: how much of its mean may count, and by how many nats each is likely before anything is
measured."""
_SCALES = {True: {1.0: 0.0, 0.25: -1.0, 4.0: -1.0, 0.0: -2.0}, False: {1.0: -2.0, 0.25: -2.0, 4.0: -3.0, 0.0: 0.0}}
"""The same of the variance of its features."""
_SHOWN = 64
"""Candidates, and measured networks, that a policy learns from."""
_FEWEST = 4
"""Measurements of which a rank correlation is said."""
_HELD = 16
"""Inputs of which processes and candidates are kept; with more, those of others are made anew."""


@dataclass(frozen=True)
class SurrogateModel:
    """Kernel, share of the prior's mean, and on how many measurements they were chosen."""

    kernel: Kernel
    share: float
    count: int


@dataclass(frozen=True)
class AcquisitionSettings:
    """``candidates``: to choose from; ``largest``: measurements to learn from, the latest of the input itself first;
    ``first``: measurements before there is a model."""

    candidates: int
    largest: int
    first: int = 0


class Acquisition:
    """Candidates of every input in the order of their expected improvement.

    A Gaussian process on the ranks of scores. Pending proposals count as measured as predicted, so that several
    proposals at once differ.
    """

    def __init__(
        self,
        moves: Sequence[Moves],
        rng: np.random.Generator,
        settings: AcquisitionSettings,
        prior: Prior | None = None,
    ) -> None:
        self._moves, self._rng, self._settings = moves, rng, settings
        self.observations = Observations(moves)
        self.start = [projection(each, each.identity) for each in moves]
        """What to go out from: the inputs, or the nearest within the budget."""
        self.model: SurrogateModel | None = None
        self.left_out_rank: float | None = None
        """Of the last belief: rank correlation of what was told with what is expected of each by all the others."""
        self._candidates: dict[int, Candidates] = {}
        self._processes: dict[int | None, GaussianProcess] = {}
        self.set_prior(prior)

    def set_prior(self, prior: Prior | None) -> None:
        """Another prior, or one that thinks otherwise now."""
        self.prior: Prior = NoPrior() if prior is None else prior
        self._means: dict[int, float] = {}  # of the prior, by name of what was told
        self._processes.clear()

    def order(self, source: int, waiting: Sequence[Choice], also: Sequence[Choice] = ()) -> Iterator[Choice]:
        """The most promising first; ``also`` are among the candidates, ``waiting`` are not."""
        if len(self.observations.told) < self._settings.first:
            yield from self._beginnings(source)
            return
        bases = [*self.observations.best(source, _BEST), self.start[source]][:_BEST]
        known, pool = (self.observations.choices[source], set(waiting)), self._pool(source)
        candidates = pool.draw(bases, also, lambda choice: any(choice in each for each in known))
        if candidates:
            belief = self.belief(source)
            mean, deviation = belief.distribution(candidates, waiting)
            improvement = expected_improvement(mean, deviation, belief.best)
            ordered = [candidates[number] for number in np.argsort(-improvement, kind="stable")]
            pool.keep(ordered)
            for choice in ordered:
                yield choice
                pool.drop(choice)  # whoever asked on could not use it

    def promising(self, source: int) -> list[Choice]:
        """What was thought best when something was proposed last, and the best known."""
        best = self._pool(source).best[:_SHOWN]
        return list(dict.fromkeys([*best, *self.observations.best(source, _SHOWN), self.start[source]]))

    def _beginnings(self, source: int) -> Iterator[Choice]:
        """What to go out from, and what is one change away: as the prior expects, or at random."""
        moves, start = self._moves[source], self.start[source]
        around = neighbours(moves, start)
        shuffled = (around[number] for number in self._rng.permutation(len(around)))
        admitted = list(islice(filter(moves.admits, shuffled), self._settings.candidates))
        if moves.admits(start):
            yield start
        expected = self.prior.mean(source, admitted)
        yield from (admitted[number] for number in np.argsort(-expected, kind="stable"))

    def belief(self, source: int) -> Belief:
        """What is thought of an input's transformations after all that was told by now."""
        training_set = self.observations.training_set(source, self._settings.largest)
        names, ranks = training_set.names, normal_ranks(training_set.scores)
        prior = self._prior_means(names)
        model = self._chosen_model(names, ranks, prior)
        process = self._process(source, model.kernel)
        process.hold(names, lambda first: self._points_of(names[first:]))
        posterior, own = process.fit(ranks - model.share * prior), self.observations.is_result
        self.left_out_rank = _rank_correlation(posterior.left_out_mean() + model.share * prior, ranks)
        means = posterior.own_mean() + model.share * prior
        results = [mean for name, mean in zip(names, means.tolist(), strict=True) if own(name, source)]
        belief = Belief(self, source, model.share, process, posterior, names, max(results, default=0.0))
        if not results:  # all that was told is over the budget
            belief.best = float(belief.mean([self.start[source]])[0])
        return belief

    def points(self, source: int, choices: Sequence[Choice]) -> Points:
        return Points(self.observations.space.rows(source, choices), self.prior.features(source, choices))

    def _points_of(self, names: Sequence[int]) -> Points:
        parts = [(places, self.points(source, choices)) for places, source, choices in self._by_source(names)]
        rows = np.concatenate([part.rows for _, part in parts])
        features = np.concatenate([part.features for _, part in parts])
        back = np.argsort(np.concatenate([places for places, _ in parts]))
        return Points(rows[back], features[back])

    def _prior_means(self, names: Sequence[int]) -> np.ndarray:
        new = [name for name in names if name not in self._means]
        for places, source, choices in self._by_source(new):
            means = self.prior.mean(source, choices).tolist()
            self._means.update(zip((new[place] for place in places), means, strict=True))
        return np.array([self._means[name] for name in names])

    def _by_source(self, names: Sequence[int]) -> Iterator[tuple[list[int], int, list[Choice]]]:
        """Places among names, input and choices, an input at a time."""
        found: dict[int, tuple[list[int], list[Choice]]] = {}
        for place, name in enumerate(names):
            source, choice = self.observations.owner(name)
            places, choices = found.setdefault(source, ([], []))
            places.append(place)
            choices.append(choice)
        yield from ((places, source, choices) for source, (places, choices) in found.items())

    def _process(self, source: int, kernel: Kernel) -> GaussianProcess:
        """One for all inputs as long as all that was told is learned from, then one for each."""
        owner = None if len(self.observations.told) <= self._settings.largest else source
        process = self._processes.get(owner)
        if process is None or process.kernel != kernel:
            process = GaussianProcess(kernel)
        return _kept(self._processes, owner, process)

    def _pool(self, source: int) -> Candidates:
        kept = KEPT_SLOW if self.prior.is_slow else KEPT
        count = self._settings.candidates
        pool = self._candidates.get(source) or Candidates(self._moves[source], self._rng, count, kept)
        return _kept(self._candidates, source, pool)

    def _chosen_model(self, names: Sequence[int], ranks: np.ndarray, prior: np.ndarray) -> SurrogateModel:
        """The likeliest kernel, and how much of the prior counts."""
        count = len(self.observations.told)
        if self.model is None or count >= _GROWTH * self.model.count:
            points = self._points_of(names)
            shares = _SHARES[self.prior.sure] if prior.any() else {1.0: 0.0}
            scales = _SCALES[self.prior.sure] if points.features.shape[1] else {0.0: 0.0}
            grid = [
                (Kernel(length, noise, scale), share, nats + more)
                for share, nats in shares.items() for scale, more in scales.items()
                for length in LENGTHS for noise in NOISES
            ]  # fmt: skip
            best = likeliest(points, ((kernel, ranks - share * prior, nats) for kernel, share, nats in grid))
            self.model = SurrogateModel(grid[best][0], grid[best][1], count)
        return self.model

    def state(self) -> dict[str, Any]:
        return {
            "told": self.observations.state(),
            "model": None if self.model is None else [asdict(self.model.kernel), self.model.share, self.model.count],
            "candidates": [[source, pool.state()] for source, pool in self._candidates.items()],
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.observations = Observations(self._moves)
        self.observations.restore(state["told"])
        model = state["model"]
        self.model = None if model is None else SurrogateModel(Kernel(**model[0]), model[1], model[2])
        self._candidates.clear()
        for source, known in state["candidates"]:
            self._pool(source).restore(known)
        self.set_prior(self.prior)


@dataclass
class Belief:
    """What a process and a prior think of the transformations of the input ``source``. ``share``: of the prior that
    counts; ``names``: of the observations that ``posterior`` is of; ``best``: what they expect of the best of these."""

    of: Acquisition
    source: int
    share: float
    process: GaussianProcess
    posterior: Posterior
    names: Sequence[int]
    best: float

    def mean(self, choices: Sequence[Choice]) -> np.ndarray:
        """Expected ranks among all that was told (n,), as normal quantiles."""
        found = self.posterior.mean(self.of.points(self.source, choices))
        return found + self.share * self.of.prior.mean(self.source, choices)

    def distribution(self, choices: Sequence[Choice], waiting: Sequence[Choice]) -> tuple[np.ndarray, np.ndarray]:
        """The same and their standard deviations, as if ``waiting`` were measured as expected."""
        of, source, told = self.of, self.source, len(self.names)
        names = [*self.names, *((source, choice) for choice in waiting)]
        self.process.hold(names, lambda first: of.points(source, waiting[first - told :]))
        mean, deviation = self.posterior.distribution(of.points(source, choices))
        return mean + self.share * of.prior.mean(source, choices), deviation


def _rank_correlation(expected: np.ndarray, ranks: np.ndarray) -> float | None:
    """Of expectations with ranks (n,), as normal quantiles; None where either are all the same."""
    found = normal_ranks(expected)
    if len(ranks) < _FEWEST or found.std() == 0 or ranks.std() == 0:
        return None
    return float(np.corrcoef(found, ranks)[0, 1])


def _kept(known: dict[_Name, _Value], name: _Name, value: _Value) -> _Value:
    """Put it last in a dict of at most ``_HELD``."""
    known.pop(name, None)
    known[name] = value
    if len(known) > _HELD:
        known.pop(next(iter(known)))
    return value
