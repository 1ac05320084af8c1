"""Whether a difference in accuracy is more than noise: intervals for one model, and for two on the same images."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import stdtrit
from torch import Tensor

from nat_plugin.errors import NATError

Subject = TypeVar("Subject")
"""Whatever is compared by its accuracy."""


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


def best_first(candidates: Iterable[Subject], judged: Callable[[Subject], Accuracy]) -> list[Subject]:
    """The best first, by what each got right on the same images: those within one standard error of the most accurate
    (Breiman et al., 1984), by their loss, which on few images says more than a count of hits; then the others, the most
    accurate first. What is equal stays in its order."""
    every = list(candidates)
    top = max((judged(each) for each in every), key=lambda each: each.value, default=None)
    if top is None:
        return []
    least = top.value - math.sqrt(top.value * (1 - top.value) / top.total)

    def rank(each: Subject) -> tuple[bool, float, float]:
        accuracy = judged(each)
        is_near = accuracy.value >= least
        return not is_near, accuracy.loss if is_near else 0.0, -accuracy.value

    return sorted(every, key=rank)


@dataclass(frozen=True)
class Interval:
    """Ends of a confidence interval, both included; infinite where nothing is known."""

    low: float
    high: float


UNKNOWN = Interval(-math.inf, math.inf)


@dataclass(frozen=True)
class Difference:
    """Accuracy of the first model minus that of the second, with its interval; all shares of 1.

    ``seeds``: trainings of each. With one of each, the interval speaks for these two trained models, not for their
    architectures (``verdict.conclude``).
    """

    value: float
    low: float
    high: float
    images: int
    seeds: tuple[int, int]


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


def mean_intervals(shares: Sequence[Sequence[float]], images: int, level: float = 0.95) -> tuple[Interval, ...]:
    """Where the accuracy of further trainings on further images lies, for each of several networks, from the accuracies
    of the trainings of each on the same images.

    Trained once each: ``wilson``, which speaks for these trainings alone. Otherwise as in ``paired_difference`` two
    sources of noise are added: the binomial variance of the images, with two right and two wrong ones added (Agresti
    and Coull 1998), and the variance between trainings, pooled over the networks. Of 0 images nothing is known.
    """
    if not images:
        return (UNKNOWN,) * len(shares)
    if (
        not shares
        or images < 1
        or not all(accuracies and 0 <= min(accuracies) <= max(accuracies) <= 1 for accuracies in shares)
    ):
        raise NATError(f"no intervals for accuracies {[list(accuracies) for accuracies in shares]} on {images} images")
    between, freedom = _pooled(shares)
    intervals = []
    for accuracies in shares:
        mean = sum(accuracies) / len(accuracies)
        if not freedom:
            intervals.append(wilson(round(mean * images), images, level))
            continue
        centre = (mean * images + 2) / (images + 4)
        of_images = centre * (1 - centre) / (images + 4)
        half = _half(of_images, images, between / len(accuracies), freedom, level)
        intervals.append(Interval(max(0.0, centre - half), min(1.0, centre + half)))
    return tuple(intervals)


def paired_difference(first: Sequence[Tensor], second: Sequence[Tensor], level: float = 0.95) -> Difference:
    """The difference between two models, each trained with one or more seeds, on the same images in the same order.

    ``first`` and ``second`` hold one bool tensor (images,) per training. Two independent sources of noise are added:

    - images: the variance of the mean per-image difference, with two pretended images on which either model alone is
      right (Bonett and Price 2012). Without them a handful of images on which the models differ, all in favour of one,
      would pass for certainty;
    - seeds: the variance of the accuracy between trainings, pooled over both models. It needs a second training of at
      least one of them. With few of them its quantile is large: 4.3 for two trainings of each, 2.8 for three.
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
    Seeds: as in ``paired_difference``. Of 0 images nothing is known but the difference itself.
    """
    if first and second and not images:
        value = sum(first) / len(first) - sum(second) / len(second)
        return Difference(value, UNKNOWN.low, UNKNOWN.high, 0, (len(first), len(second)))
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
    between, freedom = _pooled(seeds)
    of_seeds = between * sum(1 / len(each) for each in seeds)
    half = _half(of_images, images, of_seeds, freedom, level)
    counts = (len(seeds[0]), len(seeds[1]))
    return Difference(value, max(-1.0, centre - half), min(1.0, centre + half), images, counts)


def _pooled(seeds: Sequence[Sequence[float]]) -> tuple[float, int]:
    """The variance between trainings of the same network, and its degrees of freedom; 0 and 0 with one of each."""
    freedom = sum(len(each) - 1 for each in seeds)
    if not freedom:
        return 0.0, 0
    means = [sum(each) / len(each) for each in seeds]
    return sum((one - mean) ** 2 for each, mean in zip(seeds, means, strict=True) for one in each) / freedom, freedom


def _half(of_images: float, images: int, of_seeds: float, freedom: int, level: float) -> float:
    """Half of the interval that two variances leave: squares add up, each with Student's quantile of its own degrees of
    freedom (Howe 1974). One quantile for both (Satterthwaite 1946) takes two trainings that happen to agree for many:
    in simulation it covers 92 % with two trainings whose spread is some times that of the images, this one 95 %.
    """
    quantile = (1 + level) / 2
    squares = of_images * float(stdtrit(images + 1, quantile)) ** 2
    if freedom:
        squares += of_seeds * float(stdtrit(freedom, quantile)) ** 2
    return math.sqrt(squares)


def _matrix(hits: Sequence[Tensor]) -> NDArray[np.float64]:
    """Hits as (trainings, images) of 0 and 1."""
    if not hits or any(each.ndim != 1 or len(each) != len(hits[0]) for each in hits):
        raise NATError("hits are one row of images per training, all of the same length")
    return torch.stack([each.cpu() for each in hits]).numpy().astype(np.float64)
