"""Whether a difference in accuracy is more than noise: intervals for one model, and for two on the same images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nat_plugin.errors import NATError


@dataclass(frozen=True)
class Accuracy:
    """What a model got right on a split. ``hits`` is bool (images,), on the CPU; ``loss`` the mean cross-entropy."""

    correct: int
    total: int
    loss: float
    hits: Tensor

    @property
    def value(self) -> float:
        """Share of the images, 0 to 1."""
        return self.correct / self.total

    def interval(self, level: float = 0.95) -> Interval:
        """Where the accuracy on further images like these lies, for this very model."""
        return wilson(self.correct, self.total, level)


@dataclass(frozen=True)
class Interval:
    """Ends of a confidence interval, both included."""

    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """Accuracy of the first model minus that of the second, with its interval; all shares of 1.

    ``seeds``: trainings of each. With one of each, the interval speaks for these two trained models, not for their
    architectures.
    """

    value: float
    low: float
    high: float
    images: int
    seeds: tuple[int, int]

    @property
    def beyond_noise(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0


def wilson(correct: int, total: int, level: float = 0.95) -> Interval:
    """The score interval for a share (Wilson 1927); right also near 0 and 1, and for few images."""
    if not 0 <= correct <= total or total < 1 or not 0 < level < 1:
        raise NATError(f"no interval for {correct} of {total} at level {level}")
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = correct / total
    centre = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    # At the ends the limit is exact in theory, and off by a rounding error in floats.
    return Interval(0.0 if correct == 0 else centre - half, 1.0 if correct == total else centre + half)


def paired_difference(first: Sequence[Tensor], second: Sequence[Tensor], level: float = 0.95) -> Difference:
    """The difference between two models, each trained with one or more seeds, on the same images in the same order.

    ``first`` and ``second`` hold one bool tensor (images,) per training. Two independent sources of noise are added:

    - images: the variance of the mean per-image difference, with two pretended images on which either model alone is
      right (Bonett and Price 2012). Without them a handful of images on which the models differ, all in favour of one,
      would pass for certainty;
    - seeds: the variance of the accuracy between trainings, pooled over both models. It needs a second training of at
      least one of them.

    The quantile is Student's, with the degrees of freedom of Satterthwaite (1946), as there are few seeds.
    """
    hits = [_matrix(first), _matrix(second)]
    images = hits[0].shape[1]
    if hits[1].shape[1] != images or images < 1 or not 0 < level < 1:
        raise NATError(f"hits on {images} and {hits[1].shape[1]} images at level {level} cannot be compared in pairs")
    delta = hits[0].mean(0) - hits[1].mean(0)
    padded = images + 2
    centre = float(delta.sum()) / padded
    of_images = ((float((delta**2).sum()) + 2) / padded - centre**2) / padded
    per_seed = [each.mean(1) for each in hits]
    freedom = sum(len(each) - 1 for each in per_seed)
    of_seeds = 0.0
    if freedom:
        pooled = sum(float(((each - each.mean()) ** 2).sum()) for each in per_seed) / freedom
        of_seeds = pooled * sum(1 / len(each) for each in per_seed)
    variance = of_images + of_seeds
    spread = of_images**2 / (padded - 1) + (of_seeds**2 / freedom if freedom else 0.0)
    half = student_quantile((1 + level) / 2, variance**2 / spread) * math.sqrt(variance)
    seeds = (len(hits[0]), len(hits[1]))
    return Difference(float(delta.mean()), max(-1.0, centre - half), min(1.0, centre + half), images, seeds)


def _matrix(hits: Sequence[Tensor]) -> NDArray[np.float64]:
    """Hits as (trainings, images) of 0 and 1."""
    if not hits or any(each.ndim != 1 or len(each) != len(hits[0]) for each in hits):
        raise NATError("hits are one row of images per training, all of the same length")
    return torch.stack([each.cpu() for each in hits]).numpy().astype(np.float64)


def student_quantile(share: float, freedom: float) -> float:
    """The value below which a share (from 0.5 up) of Student's t distribution lies; by integrating its density."""
    if freedom > 1e5:
        return NormalDist().inv_cdf(share)
    # With t = tan(angle) * sqrt(freedom) the density is a power of the cosine on a finite interval.
    angles = np.linspace(0.0, math.pi / 2, 20_001)
    density = np.cos(angles) ** (freedom - 1)
    below = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    angle = float(np.interp((2 * share - 1) * below[-1], below, angles))
    return math.tan(angle) * math.sqrt(freedom)
