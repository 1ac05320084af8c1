"""Which pictures and places a map is fitted on, which are held out, and their rows in sums of products."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nat_plugin.fitting.linear import LinearMap
from nat_plugin.fitting.moments import Moments
from nat_plugin.fitting.windows import outputs_at, places

HELD = 4
"""Of so many pictures one is held out to choose the ridge and to say how good a fit is."""
ROWS = 8
"""So many rows of inputs for each input, where there are as many pixels."""
FEWEST = 40
"""Places of each picture at least."""


def empty(fitted: LinearMap, device: torch.device) -> tuple[Moments, Moments]:
    """Of no pictures: to fit on, and held out."""
    inputs, outputs = fitted.inputs, fitted.outputs
    return Moments(inputs, outputs, device), Moments(inputs, outputs, device)


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


def sample(fitted: LinearMap, y: Tensor, number: int, count: int, seed: int) -> FitSample:
    """Of a batch whose first picture is the ``number``-th of ``count``."""
    pixels = max(FEWEST, -(-ROWS * fitted.inputs // count))
    generator = torch.Generator().manual_seed(seed * 1_000_003 + number)
    is_held = (torch.arange(number, number + len(y)) % HELD == HELD - 1).to(y.device)

    def part(pictures: Tensor) -> BatchPart | None:
        if not pictures.any():
            return None
        chosen = places(y.shape[2], y.shape[3], pixels, generator)
        return BatchPart(pictures, chosen, outputs_at(y[pictures], chosen))

    return FitSample((part(~is_held), part(is_held)), y.shape[3])


def add_sample(pair: tuple[Moments, Moments], fitted: LinearMap, x: Tensor, found: FitSample) -> None:
    """Rows of a batch to the moments that they belong to; ``x``: what goes in."""
    for moments, part in zip(pair, found.parts, strict=True):
        if part is not None:
            moments.add(fitted.window.rows(x[part.pictures], part.places, found.width), part.y)


def add(
    pair: tuple[Moments, Moments], fitted: LinearMap, x: Tensor, y: Tensor, number: int, count: int, seed: int
) -> None:
    """Rows of a batch, whose first picture is the ``number``-th of ``count``, to the moments that they belong to."""
    add_sample(pair, fitted, x, sample(fitted, y, number, count, seed))
