"""Whether a difference in accuracy is more than noise: intervals for one model, and for two on the same images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import stdtrit
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
    seeds = [each.mean(1).tolist() for each in hits]
    return _difference(float(delta.mean()), centre, of_images, images, seeds, level)


def unpaired_difference(
    first: Sequence[float], second: Sequence[float], images: int, level: float = 0.95
) -> Difference:
    """The difference between two models of which only the accuracy of each training is known (shares of 1, on as many
    images): without pairs of images the interval is wider than that of ``paired_difference``.

    Images: the binomial variance of both, with one right and one wrong image added to each (Agresti and Caffo 2000).
    Seeds: as in ``paired_difference``.
    """
    if not first or not second or images < 1 or not 0 < level < 1:
        raise NATError(f"{len(first)} and {len(second)} accuracies on {images} images cannot be compared at {level}")
    means = [sum(each) / len(each) for each in (first, second)]
    shares = [(mean * images + 1) / (images + 2) for mean in means]
    of_images = sum(share * (1 - share) / (images + 2) for share in shares)
    return _difference(means[0] - means[1], shares[0] - shares[1], of_images, images, [first, second], level)


def _difference(
    value: float, centre: float, of_images: float, images: int, seeds: Sequence[Sequence[float]], level: float
) -> Difference:
    """With the interval around ``centre`` that the variance of the images and that between trainings leave."""
    freedom = sum(len(each) - 1 for each in seeds)
    of_seeds = 0.0
    if freedom:
        means = [sum(each) / len(each) for each in seeds]
        squares = sum((one - mean) ** 2 for each, mean in zip(seeds, means, strict=True) for one in each)
        of_seeds = squares / freedom * sum(1 / len(each) for each in seeds)
    variance = of_images + of_seeds
    spread = of_images**2 / (images + 1) + (of_seeds**2 / freedom if freedom else 0.0)
    half = float(stdtrit(variance**2 / spread, (1 + level) / 2)) * math.sqrt(variance)
    counts = (len(seeds[0]), len(seeds[1]))
    return Difference(value, max(-1.0, centre - half), min(1.0, centre + half), images, counts)


def _matrix(hits: Sequence[Tensor]) -> NDArray[np.float64]:
    """Hits as (trainings, images) of 0 and 1."""
    if not hits or any(each.ndim != 1 or len(each) != len(hits[0]) for each in hits):
        raise NATError("hits are one row of images per training, all of the same length")
    return torch.stack([each.cpu() for each in hits]).numpy().astype(np.float64)
