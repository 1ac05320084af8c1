"""Rows for least squares: windows of a feature map as a convolution reads them, and the outputs at their places."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional

from nat_timm.documents.forms import Form


@dataclass(frozen=True)
class Window:
    """What an output pixel reads: ``kernel`` x ``kernel`` pixels, zeros outside of the map."""

    kernel: int
    stride: int
    same: bool

    @classmethod
    def of(cls, form: Form) -> Window:
        return cls(form.kernel, form.stride, form.same and form.stride > 1)

    def before(self, side: int) -> int:
        """Zeros above or left of a map of ``side`` pixels."""
        return self._padding(side) // 2 if self.same else self.kernel // 2

    def _padding(self, side: int) -> int:
        if not self.same:
            return 2 * (self.kernel // 2)
        return max((-(-side // self.stride) - 1) * self.stride + self.kernel - side, 0)

    def padded(self, x: Tensor) -> Tensor:
        sides = []
        for side in (x.shape[3], x.shape[2]):
            before = self.before(side)
            sides += [before, self._padding(side) - before]
        return functional.pad(x, sides)

    def taps(self, inner: Window, channels: int, sides: tuple[int, int]) -> list[int]:
        """Which columns of the rows of this window are those of a smaller one."""
        down, right = (self.before(side) - inner.before(side) for side in sides)
        area = self.kernel**2
        places = [
            (down + row) * self.kernel + right + column for row in range(inner.kernel) for column in range(inner.kernel)
        ]
        return [channel * area + place for channel in range(channels) for place in places]


def places(height: int, width: int, pixels: int, generator: Generator) -> Tensor:
    """Up to ``pixels`` places of a map, for all pictures the same."""
    return torch.randperm(height * width, generator=generator)[:pixels].sort().values


def outputs_at(y: Tensor, chosen: Tensor) -> Tensor:
    """(rows, C) of an output map y (N, C, H, W) at some of its places."""
    return y.flatten(2)[:, :, chosen.to(y.device)].transpose(1, 2).flatten(0, 1)


def inputs_at(x: Tensor, window: Window, chosen: Tensor, width: int) -> Tensor:
    """(rows, channels x kernel x kernel) of what is read of an input map x for places of an output map that is
    ``width`` wide."""
    chosen = chosen.to(x.device)
    down, right = chosen // width * window.stride, chosen % width * window.stride
    padded, steps = window.padded(x), range(window.kernel)
    taps = [padded[:, :, down + row, right + column] for row in steps for column in steps]
    found = torch.stack(taps, -1)  # (N, channels, places, taps)
    return found.permute(0, 2, 1, 3).flatten(2).flatten(0, 1)
