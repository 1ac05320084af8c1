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

    def rows(self, x: Tensor, chosen: Tensor, width: int) -> Tensor:
        """(rows, channels x area) of what is read of an input map x for places of an output map that is ``width``
        wide."""
        chosen, padded = chosen.to(x.device), self.padded(x)
        down, right = chosen // width * self.stride[0], chosen % width * self.stride[1]
        taps = [padded[:, :, down + self.dilation * r, right + self.dilation * c] for r, c in self._taps()]
        found = torch.stack(taps, -1)  # (N, channels, places, taps)
        return found.permute(0, 2, 1, 3).flatten(2).flatten(0, 1)


def places(height: int, width: int, pixels: int, generator: Generator) -> Tensor:
    """Up to ``pixels`` places of a map, for all pictures the same."""
    return torch.randperm(height * width, generator=generator)[:pixels].sort().values


def outputs_at(y: Tensor, chosen: Tensor) -> Tensor:
    """(rows, C) of an output map y (N, C, H, W) at some of its places."""
    return y.flatten(2)[:, :, chosen.to(y.device)].transpose(1, 2).flatten(0, 1)
