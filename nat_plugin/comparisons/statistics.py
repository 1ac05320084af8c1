"""Means with intervals, and paired tests with correction for several comparisons."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Values = NDArray[np.float64]


@dataclass(frozen=True)
class MeanInterval:
    """A mean and the ends of its interval; not a number where there is nothing to tell them by."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class PairedTest:
    """The mean difference to the baseline, and the two-sided probability of one as large by chance, as it is and
    corrected for the number of comparisons (``holm``). ``pairs``: how many were compared."""

    difference: MeanInterval
    p: float
    holm: float
    pairs: int


def samples(values: Values) -> Values:
    """What is independent, from values (inputs, seeds, …): the inputs, each the mean over its seeds, or for a single
    input its seeds."""
    means: Values = values.mean(axis=1) if len(values) > 1 else values[0]
    return means


def mean_interval(values: Values, level: float = 0.95) -> tuple[Values, Values, Values]:
    """Mean, low and high over the first axis, by Student's t. With a single sample the ends are not a number."""
    mean = values.mean(axis=0)
    count = len(values)
    if count < 2:
        return mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    half = stats.t.ppf((1 + level) / 2, count - 1) * values.std(axis=0, ddof=1) / math.sqrt(count)
    return mean, mean - half, mean + half


def mean_of(values: Values) -> MeanInterval:
    """Of a row of samples."""
    mean, low, high = mean_interval(values)
    return MeanInterval(float(mean), float(low), float(high))


def wilcoxon(first: Values, second: Values) -> float:
    """Two-sided p of the signed-rank test (Wilcoxon 1945) on pairs; 1 where no pair differs."""
    if not np.any(first != second):
        return 1.0
    return float(stats.wilcoxon(first, second).pvalue)


def holm(values: Sequence[float]) -> list[float]:
    """Probabilities of several tests, corrected so that with 0.05 the chance of any false finding is 0.05 (Holm
    1979)."""
    order = np.argsort(values, kind="stable")
    found, worst = [0.0] * len(values), 0.0
    for rank, number in enumerate(order):
        worst = max(worst, min(1.0, (len(values) - rank) * values[number]))
        found[number] = worst
    return found


def against(baseline: Values, others: Mapping[str, Values]) -> dict[str, PairedTest]:
    """Each of the others tested against the baseline, on the samples that both have; those with none are left out."""
    differences: dict[str, tuple[MeanInterval, float, int]] = {}
    for label, values in others.items():
        both = np.isfinite(values) & np.isfinite(baseline)
        if both.any():
            own, other = values[both], baseline[both]
            differences[label] = (mean_of(own - other), wilcoxon(own, other), int(both.sum()))
    corrected = holm([p for _, p, _ in differences.values()])
    return {
        label: PairedTest(mean, p, adjusted, pairs)
        for (label, (mean, p, pairs)), adjusted in zip(differences.items(), corrected, strict=True)
    }
