"""A predictor of scores from few measurements: a Gaussian process over what the ops of all slots are like.

Ops go by their descriptions (``policy.describe``), so that similar ops count as near, and by which they are, so that no
two are the same. Slots are matched by their places, so that the networks of all inputs are in one space. What is
learned is the rank of a score: a few networks that collapsed do not drown the differences between good ones.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from math import inf, log, pi, sqrt

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import ndtr

from nat_plugin.ir import Choice, Moves, Op
from nat_plugin.policy.describe import describe

LENGTHS = (1.0, 2.0, 4.0)
"""Of the kernel; the distance between two networks is about the root of the number of slots in which they differ."""
NOISES = (0.03, 0.3)
"""Variance of what cannot be explained, as a share of the variance of all."""
_APART = 0.5
"""Squared distance of two ops with equal descriptions; the mean over the ops of a slot is 1."""


class ChoiceSpace:
    """Choices as rows of numbers, in which the squared distance is the sum over slots of that between their ops."""

    def __init__(self, moves: Sequence[Moves]) -> None:
        self._places = [
            [(slot.cell, source.network.edge(slot).key or str(slot.index)) for slot in source.slots] for source in moves
        ]
        ops_at: dict[tuple[str, str], set[Op]] = {}
        for places, source in zip(self._places, moves, strict=True):
            for place, options in zip(places, source.candidates, strict=True):
                ops_at.setdefault(place, set()).update(options)
        self._first: dict[tuple[str, str], int] = {}
        self._codes: dict[tuple[str, str], dict[Op, np.ndarray]] = {}
        self.width = 0
        for place, ops in ops_at.items():
            ordered = sorted(ops, key=str)
            codes = _codes(ordered)
            self._first[place], self._codes[place] = self.width, dict(zip(ordered, codes, strict=True))
            self.width += codes.shape[1]
        self._tables = [
            [
                np.stack([self._codes[place][op] for op in options])
                for place, options in zip(places, source.candidates, strict=True)
            ]
            for places, source in zip(self._places, moves, strict=True)
        ]

    def rows(self, source: int, choices: Sequence[Choice]) -> np.ndarray:
        """(len(choices), ``width``). Places that an input does not have are 0, the middle of all ops."""
        out = np.zeros((len(choices), self.width))
        picked = np.array(choices, np.int64).reshape(len(choices), -1)
        for slot, (place, table) in enumerate(zip(self._places[source], self._tables[source], strict=True)):
            first = self._first[place]
            out[:, first : first + table.shape[1]] = table[picked[:, slot]]
        return out


def _codes(ops: Sequence[Op]) -> np.ndarray:
    """A row for each of the ops, as far apart as they are unlike (len(ops), fewer)."""
    described = np.stack([describe(op) for op in ops]).astype(float)
    spread = described.std(axis=0)
    described = (described - described.mean(axis=0)) / np.where(spread > 0, spread, 1)
    pairs = max(1, len(ops) * (len(ops) - 1) // 2)
    total = len(ops) * (described**2).sum()  # of the squared distances of all pairs
    described *= sqrt((1 - _APART) / max(total / pairs, 1e-12))
    whole = np.concatenate([described, np.eye(len(ops)) * sqrt(_APART / 2)], axis=1)
    left, sizes, _ = np.linalg.svd(whole - whole.mean(axis=0), full_matrices=False)
    codes: np.ndarray = left[:, : len(ops) - 1] * sizes[: len(ops) - 1]
    return codes


@dataclass(frozen=True)
class Kernel:
    """Matern 5/2 of that ``length`` over what the ops are like, plus ``scale`` times the products of the features of a
    prior, plus ``noise``: variance of what cannot be explained. All as shares of the variance of what is learned."""

    length: float
    noise: float
    scale: float = 0.0

    def between(self, one: Points, other: Points) -> np.ndarray:
        """Covariances (n, m) without noise."""
        return self.of(squared_distances(one.rows, other.rows), one.features, other.features)

    def of(self, squared: np.ndarray, features: np.ndarray, others: np.ndarray) -> np.ndarray:
        """The same, from squared distances (n, m)."""
        apart = np.sqrt(squared)
        apart *= sqrt(5) / self.length
        found: np.ndarray = np.exp(-apart)
        found *= 1 + apart * (1 + apart / 3)
        if self.scale:
            found += self.scale * (features @ others.T)
        return found

    def variances(self, points: Points) -> np.ndarray:
        """Of each point by itself (n,)."""
        own: np.ndarray = 1 + self.scale * (points.features**2).sum(axis=1)
        return own


@dataclass(frozen=True)
class Points:
    """Networks as a process sees them: ``rows`` (n, width) of a ``ChoiceSpace``, ``features`` (n, d) of a prior."""

    rows: np.ndarray
    features: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def part(self, first: int, end: int) -> Points:
        return Points(self.rows[first:end], self.features[first:end])


def squared_distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(n, m) between rows."""
    found: np.ndarray = -2 * (one @ other.T)
    found += (one**2).sum(axis=1)[:, None]
    found += (other**2).sum(axis=1)
    np.maximum(found, 0, out=found)
    return found


class GaussianProcess:
    """Points that values can be learned of, and the inverse of the Cholesky factor of their covariances.

    ``hold`` keeps what the points before and the new ones begin with in common, and adds the others row by row: a point
    costs as much as its row, whatever was there, and the factor is the same to the bit however it came about. Values
    can change all the time: they are no part of it.
    """

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.names: list[Hashable] = []
        self._rows = self._features = self._factor = np.zeros((0, 0))

    def hold(self, names: Sequence[Hashable], points: Callable[[int], Points]) -> None:
        """The points of those names, in that order; ``points(first)`` are those from the first one that is new."""
        same = next((n for n, (a, b) in enumerate(zip(self.names, names, strict=False)) if a != b), None)
        kept = min(len(self.names), len(names)) if same is None else same
        self.names = list(names)
        if kept == len(names):
            return
        new = points(kept)
        self._make_room(len(names), new)
        for number in range(len(new)):
            self._add(kept + number, new.rows[number], new.features[number])

    def _make_room(self, count: int, like: Points) -> None:
        had = len(self._factor)
        if count > had:
            size = max(count, 2 * had, 32)
            wide = {"_rows": like.rows.shape[1], "_features": like.features.shape[1], "_factor": size}
            for name, width in wide.items():
                before: np.ndarray = getattr(self, name)
                room = np.zeros((size, width))
                room[:had, : before.shape[1]] = before
                setattr(self, name, room)

    def _add(self, n: int, row: np.ndarray, features: np.ndarray) -> None:
        self._rows[n], self._features[n] = row, features
        one, factor = Points(row[None], features[None]), self._factor[:n, :n]
        across = factor @ self.kernel.between(one, self._points(n))[0]
        left = sqrt(float(self.kernel.variances(one)[0]) + self.kernel.noise - float(across @ across))
        self._factor[n, :n] = (across @ factor) / -left
        self._factor[n, n] = 1 / left

    def fit(self, values: np.ndarray) -> Posterior:
        """What values (n,) of the first n points say."""
        return Posterior(self, values)

    def _points(self, count: int) -> Points:
        return Points(self._rows[:count], self._features[:count])

    @property
    def points(self) -> Points:
        return self._points(len(self.names))

    @property
    def factor(self) -> np.ndarray:
        """The inverse of the Cholesky factor (n, n)."""
        return self._factor[: len(self.names), : len(self.names)]


class Posterior:
    """What is known of any point after values (n,) of the first n points of a process. Values are taken with mean 0 and
    standard deviation 1."""

    def __init__(self, process: GaussianProcess, values: np.ndarray) -> None:
        self._process, self._count = process, len(values)
        self._middle, self._spread = float(values.mean()), float(values.std()) or 1.0
        self._values = (values - self._middle) / self._spread
        self._factor = process.factor[: self._count, : self._count]
        self._white = self._factor @ self._values
        self._weights = self._white @ self._factor

    @property
    def log_likelihood(self) -> float:
        """Of the values as they are, in nats."""
        count = len(self._values)
        logs = float(np.log(np.diagonal(self._factor)).sum())
        return logs - float(self._white @ self._white) / 2 - count * log(2 * pi * self._spread**2) / 2

    def own_mean(self) -> np.ndarray:
        """Of the points that it learned (n,)."""
        noise = self._process.kernel.noise
        found: np.ndarray = self._middle + self._spread * (self._values - noise * self._weights)
        return found

    def left_out_mean(self) -> np.ndarray:
        """Of the points that it learned, each as expected of all others (n,)."""
        found: np.ndarray = self._values - self._weights / (self._factor**2).sum(axis=0)
        return self._middle + self._spread * found

    def mean(self, points: Points) -> np.ndarray:
        return self._mean(self._process.kernel.between(points, self._process.points.part(0, self._count)))

    def _mean(self, across: np.ndarray) -> np.ndarray:
        found: np.ndarray = self._middle + self._spread * (across @ self._weights)
        return found

    def distribution(self, points: Points) -> tuple[np.ndarray, np.ndarray]:
        """Means and standard deviations; these as if all that the process holds by now was measured."""
        process = self._process
        across = process.kernel.between(points, process.points)
        explained = ((across @ process.factor.T) ** 2).sum(axis=1)
        left = np.maximum(process.kernel.variances(points) - explained, 1e-12)
        return self._mean(across[:, : self._count]), self._spread * np.sqrt(left)


def likeliest(points: Points, candidates: Iterable[tuple[Kernel, np.ndarray, float]]) -> int:
    """Which of kernels with the values (n,) they explain, and so many nats in favour of each, is the likeliest."""
    squared, best = squared_distances(points.rows, points.rows), (-inf, 0)
    for number, (kernel, values, favour) in enumerate(candidates):
        covariances = kernel.of(squared, points.features, points.features)
        covariances[np.diag_indices(len(values))] += kernel.noise
        spread = float(values.std()) or 1.0
        factor = np.linalg.cholesky(covariances)
        white = solve_triangular(factor, (values - values.mean()) / spread, lower=True, check_finite=False)
        logs = float(np.log(np.diagonal(factor)).sum()) + len(values) * log(spread)
        best = max(best, (favour - logs - float(white @ white) / 2, -number))
    return -best[1]


def expected_improvement(mean: np.ndarray, deviation: np.ndarray, best: float) -> np.ndarray:
    """By how much each is expected to be better than ``best``, if it is, and else 0."""
    deviation = np.maximum(deviation, 1e-9)
    z = (mean - best) / deviation
    density = np.exp(-(z**2) / 2) / sqrt(2 * pi)
    improvement: np.ndarray = deviation * (z * ndtr(z) + density)
    return improvement
