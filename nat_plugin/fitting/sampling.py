"""Which pictures and places a map is fitted on, which are held out, and their rows in sums of products."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

from nat_plugin.fitting.linear import LinearMap
from nat_plugin.fitting.moments import Moments
from nat_plugin.fitting.windows import outputs_at, places

HELD_OUT_EVERY = 4
"""Of so many pictures one is held out to choose the ridge and to say how good a fit is."""
ROWS = 8
"""So many rows of inputs for each input, where there are as many pixels."""
FEWEST, ENOUGH = 40, 60_000
"""Places of each picture at least, until there are so many of all together: what is kept of them is in memory."""
MAX_SUM_BYTES = 2**30
"""Of the sums that are kept at a time; where all need more, the pictures are gone through again."""
_K = TypeVar("_K")


def empty_moments(fitted: LinearMap, device: torch.device) -> tuple[Moments, Moments]:
    """Sums of no pictures: to fit on, and held out."""
    inputs, outputs = fitted.inputs, fitted.outputs
    return Moments(inputs, outputs, device), Moments(inputs, outputs, device)


def moments_bytes(fitted: LinearMap) -> int:
    """What both sums of ``empty_moments`` take."""
    return 16 * fitted.inputs * (fitted.inputs + fitted.outputs)


@dataclass(frozen=True, eq=False)
class BatchPart:
    """Some pictures of a batch: which, at which places of the output map, and the outputs there."""

    pictures: Tensor
    places: Tensor
    y: Tensor


@dataclass(frozen=True, eq=False)
class FitSample:
    """What is to come out for a batch: the pictures to fit on, and those held out (None: there are none); ``width``: of
    the output map."""

    parts: tuple[BatchPart | None, BatchPart | None]
    width: int

    def of(self, channels: Tensor) -> FitSample:
        """Of some of the outputs."""
        return replace(self, parts=(_part_of(self.parts[0], channels), _part_of(self.parts[1], channels)))


def _part_of(part: BatchPart | None, channels: Tensor) -> BatchPart | None:
    return None if part is None else replace(part, y=part.y[:, channels])


def is_held(number: int, count: int, device: torch.device) -> Tensor:
    """Which of so many pictures, from the ``number``-th on, are held out."""
    return (torch.arange(number, number + count) % HELD_OUT_EVERY == HELD_OUT_EVERY - 1).to(device)


def sample_pixels(fitted: LinearMap, count: int) -> int:
    """Places of each of ``count`` pictures that a map is fitted on."""
    return max(min(FEWEST, -(-ENOUGH // count)), -(-ROWS * fitted.inputs // count))


def draw_sample(y: Tensor, pixels: int, number: int, seed: int) -> FitSample:
    """Of a batch of outputs whose first picture is the ``number``-th, so many ``pixels`` of each."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + number)
    held = is_held(number, len(y), y.device)

    def part(pictures: Tensor) -> BatchPart | None:
        if not len(pictures):
            return None
        chosen = places(y.shape[2], y.shape[3], pixels, generator)
        return BatchPart(pictures, chosen, outputs_at(y, pictures, chosen))

    return FitSample((part((~held).nonzero()[:, 0]), part(held.nonzero()[:, 0])), y.shape[3])


def add_sample(pair: tuple[Moments, Moments], fitted: LinearMap, x: Tensor, sample: FitSample) -> None:
    """Rows of a batch to the moments that they belong to; ``x``: what goes in."""
    for moments, part in zip(pair, sample.parts, strict=True):
        if part is not None:
            moments.add(fitted.window.rows(x, part.pictures, part.places, sample.width), part.y)


def add_batch(
    pair: tuple[Moments, Moments], fitted: LinearMap, x: Tensor, y: Tensor, number: int, count: int, seed: int
) -> None:
    """Rows of a batch, whose first picture is the ``number``-th of ``count``, to the moments that they belong to."""
    add_sample(pair, fitted, x, draw_sample(y, sample_pixels(fitted, count), number, seed))


def split_by_size(sizes: Mapping[_K, int]) -> Iterator[list[_K]]:
    """Parts of at most ``MAX_SUM_BYTES``, which are summed up one after the other; ``sizes``: in bytes."""
    part, size = list[_K](), 0
    for key, needs in sizes.items():
        if part and size + needs > MAX_SUM_BYTES:
            yield part
            part, size = [], 0
        part.append(key)
        size += needs
    if part:
        yield part
