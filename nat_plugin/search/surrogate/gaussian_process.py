"""A predictor of scores from few measurements: a Gaussian process over what the ops of all slots are like.

Ops go by their descriptions (``policy.describe``), so that similar ops count as near, and by which they are, so that no
two are the same. Slots are matched by their places, so that the networks of all inputs are in one space. What is
learned is the rank of a score: a few networks that collapsed do not drown the differences between good ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import pi, sqrt
from typing import TypeAlias

import numpy as np
from scipy.special import ndtr

from nat_plugin.ir import Choice, Moves, Op
from nat_plugin.policy.describe import describe

LENGTHS = (1.0, 2.0, 4.0)
"""Of the kernel; the distance between two networks is about the root of the number of slots in which they differ."""
NOISES = (0.03, 0.3)
"""Variance of what cannot be explained, as a share of the variance of all."""
Kernel: TypeAlias = tuple[float, float]
"""Length and noise."""
_APART = 0.5
"""Squared distance of two ops with equal descriptions; the mean over the ops of a slot is 1."""


class Space:
    """Choices as rows of numbers, in which the squared distance is the sum over slots of that between their ops."""

    def __init__(self, moves: Sequence[Moves]) -> None:
        self._places = [
            [(slot.cell, each.network.edge(slot).key or str(slot.index)) for slot in each.slots] for each in moves
        ]
        found: dict[tuple[str, str], set[Op]] = {}
        for places, each in zip(self._places, moves, strict=True):
            for place, options in zip(places, each.candidates, strict=True):
                found.setdefault(place, set()).update(options)
        self._first: dict[tuple[str, str], int] = {}
        self._codes: dict[tuple[str, str], dict[Op, np.ndarray]] = {}
        self.width = 0
        for place, ops in found.items():
            ordered = sorted(ops, key=str)
            codes = _codes(ordered)
            self._first[place], self._codes[place] = self.width, dict(zip(ordered, codes, strict=True))
            self.width += codes.shape[1]
        self._tables = [
            [
                np.stack([self._codes[place][op] for op in options])
                for place, options in zip(places, each.candidates, strict=True)
            ]
            for places, each in zip(self._places, moves, strict=True)
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


class Predictor:
    """Learns values (n,) of rows (n, width) once, and then predicts."""

    def __init__(self, x: np.ndarray, y: np.ndarray, kernel: Kernel) -> None:
        from sklearn.gaussian_process import GaussianProcessRegressor  # a second to import
        from sklearn.gaussian_process.kernels import Matern

        length, noise = kernel
        model = GaussianProcessRegressor(Matern(length, nu=2.5), alpha=noise, optimizer=None, normalize_y=True)
        self._model = model.fit(x, y)

    @property
    def log_likelihood(self) -> float:
        """Of the values it learned."""
        return float(self._model.log_marginal_likelihood_value_)

    def mean(self, rows: np.ndarray) -> np.ndarray:
        found: np.ndarray = self._model.predict(rows)
        return found

    def distribution(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means and standard deviations."""
        mean, deviation = self._model.predict(rows, return_std=True)
        return mean, deviation


def likeliest(x: np.ndarray, y: np.ndarray) -> Kernel:
    """The kernel under which the values are most likely."""
    kernels = [(length, noise) for length in LENGTHS for noise in NOISES]
    return max(kernels, key=lambda kernel: Predictor(x, y, kernel).log_likelihood)


def expected_improvement(mean: np.ndarray, deviation: np.ndarray, best: float) -> np.ndarray:
    """By how much each is expected to be better than ``best``, if it is, and else 0."""
    deviation = np.maximum(deviation, 1e-9)
    z = (mean - best) / deviation
    density = np.exp(-(z**2) / 2) / sqrt(2 * pi)
    improvement: np.ndarray = deviation * (z * ndtr(z) + density)
    return improvement
