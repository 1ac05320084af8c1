"""Modules that torch.nn does not have. Nothing but torch is used here, since ``nat export`` copies their text."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FactorizedReduction(nn.Module):
    """Two pointwise convolutions of stride 2 side by side, the second a pixel down and right (DARTS ``operations.py``).

    An odd size gets a row or column of zeros for the second, so that both halves have ceil(H / 2).
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.even = nn.Conv2d(in_channels, out_channels // 2, 1, bias=False) if out_channels > 1 else None
        self.odd = nn.Conv2d(in_channels, out_channels - out_channels // 2, 1, bias=False)

    def pixels(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What either convolution reads."""
        right, bottom = x.shape[3] % 2, x.shape[2] % 2
        shifted = x[:, :, 1::2, 1::2]
        return x[:, :, ::2, ::2], F.pad(shifted, (0, right, 0, bottom)) if right or bottom else shifted

    def forward(self, x: Tensor) -> Tensor:
        even, odd = self.pixels(x)
        second: Tensor = self.odd(odd)
        return second if self.even is None else torch.cat([self.even(even), second], 1)


class StridedPointwise(nn.Conv2d):
    """A pointwise convolution with a stride: the pixels are taken first. The same sums as ``nn.Conv2d`` with a stride,
    whose backward pass corrupts memory in torch 2.14 (CPU, channels_last, six channels or fewer)."""

    def __init__(self, in_channels: int, out_channels: int, step: tuple[int, int], groups: int, bias: bool) -> None:
        super().__init__(in_channels, out_channels, 1, groups=groups, bias=bias)
        self.step = step

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x[:, :, :: self.step[0], :: self.step[1]])


class EvenPool(nn.Module):
    """Pooling with an even kernel: the window reaches one pixel further to the right and the bottom than to the left
    and the top. Pixels outside the image count neither for a maximum nor for an average."""

    def __init__(self, function: str, kernel: int, stride: int) -> None:
        super().__init__()
        self.function, self.kernel, self.stride = function, kernel, stride

    def _padding(self, size: int) -> tuple[int, int]:
        before = (self.kernel - 1) // 2
        outputs = (size + self.stride - 1) // self.stride
        after = (outputs - 1) * self.stride + self.kernel - before - size
        return before, after

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        padding = (*self._padding(width), *self._padding(height))
        if self.function == "max":
            return F.max_pool2d(F.pad(x, padding, value=float("-inf")), self.kernel, self.stride)
        inside = F.pad(x.new_ones(1, 1, height, width), padding)
        counts = F.avg_pool2d(inside, self.kernel, self.stride, divisor_override=1)
        return F.avg_pool2d(F.pad(x, padding), self.kernel, self.stride, divisor_override=1) / counts


class ChannelGate(nn.Module):
    """Squeeze and excite: global pooling, two pointwise convolutions with bias, a sigmoid gate."""

    def __init__(self, channels: int, reduced: int) -> None:
        super().__init__()
        self.channels, self.reduced = channels, reduced
        self.squeeze = nn.Conv2d(channels, reduced, 1)
        self.excite = nn.Conv2d(reduced, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        gate: Tensor = self.excite(F.relu(self.squeeze(x.mean((2, 3), keepdim=True))))
        return x * gate.sigmoid()


class Residual(nn.Module):
    """A body whose input is added to its output."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        change: Tensor = self.body(x)
        return x + change
