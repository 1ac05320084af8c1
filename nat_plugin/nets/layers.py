"""One torch module per primitive layer of the IR. All tensors are (N, C, H, W); a stride s maps H to ceil(H / s)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nat_plugin.errors import NATError
from nat_plugin.ir.layers import Act, Conv, FactorizedReduce, Layer, Norm, Opaque, Pair, Pool, SqueezeExcite, strided

NormFactory: TypeAlias = Callable[[int], nn.Module]
"""Makes the normalisation of so many channels."""

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "hardswish": nn.Hardswish,
    "silu": nn.SiLU,
}


def run_columns(conv: nn.Conv2d, x: Tensor, columns: Tensor | None) -> Tensor:
    """``conv`` on an input that holds just the channels ``columns`` (int64) of its full width; None: all of them."""
    if columns is None:
        return conv(x)  # type: ignore[no-any-return]
    weight = conv.weight.index_select(1, columns)
    return F.conv2d(x, weight, conv.bias, conv.stride, conv.padding, conv.dilation, conv.groups)


class FactorizedReduction(nn.Module):
    """Two pointwise convolutions of stride 2 side by side, the second a pixel down and right (DARTS ``operations.py``).

    An odd size gets a row or column of zeros for the second, so that both halves have ceil(H / 2).
    """

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.even = nn.Conv2d(c_in, c_out // 2, 1, bias=False) if c_out > 1 else None
        self.odd = nn.Conv2d(c_in, c_out - c_out // 2, 1, bias=False)

    def forward(self, x: Tensor, columns: Tensor | None = None) -> Tensor:
        right, bottom = x.shape[3] % 2, x.shape[2] % 2
        shifted = x[:, :, 1::2, 1::2]
        odd = run_columns(self.odd, F.pad(shifted, (0, right, 0, bottom)) if right or bottom else shifted, columns)
        return odd if self.even is None else torch.cat([run_columns(self.even, x[:, :, ::2, ::2], columns), odd], 1)


class StridedPointwise(nn.Conv2d):
    """A pointwise convolution with a stride: the pixels are taken first. The same sums as ``nn.Conv2d`` with a stride,
    whose backward pass corrupts memory in torch 2.14 (CPU, channels_last, six channels or fewer)."""

    def __init__(self, c_in: int, c_out: int, step: Pair, groups: int, bias: bool) -> None:
        super().__init__(c_in, c_out, 1, groups=groups, bias=bias)
        self.step = step

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x[:, :, :: self.step[0], :: self.step[1]])


class EvenPool(nn.Module):
    """Pooling with an even kernel: the window reaches one pixel further to the right and the bottom than to the left
    and the top. Pixels outside the image count neither for a maximum nor for an average."""

    def __init__(self, function: str, kernel: int, stride: int) -> None:
        super().__init__()
        self.function, self.kernel, self.stride = function, kernel, stride

    def _padding(self, size: int) -> Pair:
        before = (self.kernel - 1) // 2
        after = (strided(size, self.stride) - 1) * self.stride + self.kernel - before - size
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
        self.squeeze = nn.Conv2d(channels, reduced, 1)
        self.excite = nn.Conv2d(reduced, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        gate: Tensor = self.excite(F.relu(self.squeeze(x.mean((2, 3), keepdim=True))))
        return x * gate.sigmoid()


def _conv(layer: Conv, _norm: NormFactory) -> nn.Module:
    if layer.kernel == (1, 1) and layer.stride != (1, 1):
        return StridedPointwise(layer.c_in, layer.c_out, layer.stride, layer.groups, layer.bias)
    reach = [layer.dilation * (kernel - 1) for kernel in layer.kernel]
    symmetric = all(each % 2 == 0 for each in reach)
    conv = nn.Conv2d(
        layer.c_in, layer.c_out, layer.kernel, layer.stride, (reach[0] // 2, reach[1] // 2) if symmetric else 0,
        layer.dilation, layer.groups, layer.bias,
    )  # fmt: skip
    if symmetric:
        return conv
    rows, columns = ((each // 2, each - each // 2) for each in reach)
    return nn.Sequential(nn.ZeroPad2d((*columns, *rows)), conv)


def _norm(layer: Norm, norm: NormFactory) -> nn.Module:
    return norm(layer.channels)


def _act(layer: Act, _norm: NormFactory) -> nn.Module:
    if layer.function not in ACTIVATIONS:
        raise NATError(f"unknown activation '{layer.function[:40]}'; known: {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[layer.function]()


def _pool(layer: Pool, _norm: NormFactory) -> nn.Module:
    if layer.function not in ("max", "avg"):
        raise NATError(f"unknown pooling '{layer.function[:40]}'; known: max, avg")
    if layer.kernel % 2 == 0:
        return EvenPool(layer.function, layer.kernel, layer.stride)
    if layer.function == "max":
        return nn.MaxPool2d(layer.kernel, layer.stride, layer.kernel // 2)
    return nn.AvgPool2d(layer.kernel, layer.stride, layer.kernel // 2, count_include_pad=False)


def _factorized_reduce(layer: FactorizedReduce, _norm: NormFactory) -> nn.Module:
    return FactorizedReduction(layer.c_in, layer.c_out)


def _squeeze_excite(layer: SqueezeExcite, _norm: NormFactory) -> nn.Module:
    return ChannelGate(layer.channels, layer.reduced)


def _opaque(layer: Opaque, _norm: NormFactory) -> nn.Module:
    raise NATError(f"op 'opaque:{layer.name[:60]}' is known by its cost alone; only its own framework can build it")


_BUILDERS: dict[type[Layer], Callable[..., nn.Module]] = {
    Conv: _conv,
    Norm: _norm,
    Act: _act,
    Pool: _pool,
    FactorizedReduce: _factorized_reduce,
    SqueezeExcite: _squeeze_excite,
    Opaque: _opaque,
}


def build_layer(layer: Layer, norm: NormFactory = nn.BatchNorm2d) -> nn.Module:
    """The module of a layer, with torch's own initialisation. NATError for an opaque layer."""
    return _BUILDERS[type(layer)](layer, norm)


def build_layers(layers: tuple[Layer, ...], norm: NormFactory = nn.BatchNorm2d) -> nn.Module:
    """Layers in sequence; an identity if there are none."""
    if not layers:
        return nn.Identity()
    return nn.Sequential(*(build_layer(layer, norm) for layer in layers))
