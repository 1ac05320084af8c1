"""Rows for least squares: windows of a feature map as a convolution reads them, and the outputs at their places."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional

from nat_plugin.ir.layers import Conv, Pair


@dataclass(frozen=True)
class Window:
    """What an output pixel reads: ``kernel`` pixels, ``dilation`` apart, zeros outside of the map. ``same``: padded as
    TensorFlow does it, else about alike on both sides. ``shift``: so much further down and right."""

    kernel: Pair
    stride: Pair = (1, 1)
    dilation: int = 1
    same: bool = False
    shift: int = 0

    @classmethod
    def of(cls, conv: Conv, same: bool = False) -> Window:
        return cls(conv.kernel, conv.stride, conv.dilation, same and conv.stride != (1, 1))

    @property
    def area(self) -> int:
        return self.kernel[0] * self.kernel[1]

    def padded(self, x: Tensor) -> Tensor:
        sides = []
        for axis in (1, 0):
            before = self.before(axis, x.shape[2 + axis])
            sides += [before, self._padding(axis, x.shape[2 + axis]) - before]
        return functional.pad(x, sides)

    def before(self, axis: int, side: int) -> int:
        """Zeros above (axis 0) or left (axis 1) of a map of ``side`` pixels; so many pixels less if negative."""
        return (self._padding(axis, side) if self.same else self._reach(axis)) // 2 - self.shift

    def _reach(self, axis: int) -> int:
        return self.dilation * (self.kernel[axis] - 1)

    def _padding(self, axis: int, side: int) -> int:
        if not self.same:
            return self._reach(axis)
        stride = self.stride[axis]
        return max((-(-side // stride) - 1) * stride + self._reach(axis) + 1 - side, 0)

    def columns_of(self, inner: Window, channels: int, sides: Pair) -> list[int]:
        """Which columns of the rows of this window are those of a smaller one."""
        down, right = (self.before(axis, sides[axis]) - inner.before(axis, sides[axis]) for axis in (0, 1))
        places = [(down + row) * self.kernel[1] + right + column for row, column in inner._taps()]
        return [channel * self.area + place for channel in range(channels) for place in places]

    def _taps(self) -> Iterator[Pair]:
        return ((row, column) for row in range(self.kernel[0]) for column in range(self.kernel[1]))

    def rows(self, x: Tensor, pictures: Tensor, chosen: Tensor, width: int) -> Tensor:
        """(rows, channels x area) of what is read of some pictures of an input map x for places of an output map that
        is ``width`` wide."""
        chosen = chosen.to(x.device)
        starts = chosen // width * self.stride[0], chosen % width * self.stride[1]
        down, right = (starts[axis] - self.before(axis, x.shape[2 + axis]) for axis in (0, 1))
        taps = [_pixels(x, pictures, down + self.dilation * r, right + self.dilation * c) for r, c in self._taps()]
        return torch.stack(taps, -1).flatten(2).flatten(0, 1)  # of (N, places, channels, taps)


def _pixels(x: Tensor, pictures: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """(N, places, channels) of pixels of a map; zeros outside of it."""
    height, width = x.shape[2:]
    is_within = (down >= 0) & (down < height) & (right >= 0) & (right < width)
    found = x[pictures[:, None], :, down.clamp(0, height - 1), right.clamp(0, width - 1)]
    return found * is_within[:, None]


def places(height: int, width: int, pixels: int, generator: Generator) -> Tensor:
    """Up to ``pixels`` places of a map, for all pictures the same."""
    return torch.randperm(height * width, generator=generator)[:pixels].sort().values


def outputs_at(y: Tensor, pictures: Tensor, chosen: Tensor) -> Tensor:
    """(rows, C) of some pictures of an output map y (N, C, H, W) at some of its places."""
    chosen = chosen.to(y.device)
    return y[pictures[:, None], :, chosen // y.shape[3], chosen % y.shape[3]].flatten(0, 1)
