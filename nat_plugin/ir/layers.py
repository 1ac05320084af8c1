"""Primitive layers as data: the one description from which costs are counted and torch modules are built.

Spatial sizes follow "same" padding: a layer of stride s maps height h to ceil(h / s), whatever its kernel.
MACs are those of convolutions and linear layers (half of torch's FLOPs); norms, pools and additions count zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from nat_plugin.errors import NATError

Pair: TypeAlias = tuple[int, int]
Shape: TypeAlias = tuple[int, int, int]  # channels, height, width


def strided(size: int, stride: int) -> int:
    """ceil(size / stride)."""
    return -(-size // stride)


@dataclass(frozen=True)
class Conv:
    """A convolution with weights (c_out, c_in / groups, kh, kw); no bias unless asked."""

    c_in: int
    c_out: int
    kernel: Pair = (1, 1)
    stride: Pair = (1, 1)
    groups: int = 1
    dilation: int = 1
    bias: bool = False
    tag: ClassVar[str] = "conv"

    @property
    def params(self) -> int:
        return self.c_in // self.groups * self.c_out * self.kernel[0] * self.kernel[1] + self.bias * self.c_out

    def run(self, shape: Shape) -> tuple[Shape, int]:
        """The shape of the output for an input of ``shape``, and the MACs."""
        height, width = strided(shape[1], self.stride[0]), strided(shape[2], self.stride[1])
        macs = self.c_in // self.groups * self.c_out * self.kernel[0] * self.kernel[1] * height * width
        return (self.c_out, height, width), macs


@dataclass(frozen=True)
class Norm:
    """Batch norm with scale and shift."""

    channels: int
    tag: ClassVar[str] = "norm"

    @property
    def params(self) -> int:
        return 2 * self.channels

    def run(self, shape: Shape) -> tuple[Shape, int]:
        return shape, 0


@dataclass(frozen=True)
class Act:
    """An elementwise activation: relu, relu6, hardswish or silu."""

    function: str = "relu"
    tag: ClassVar[str] = "act"
    params: ClassVar[int] = 0

    def run(self, shape: Shape) -> tuple[Shape, int]:
        return shape, 0


@dataclass(frozen=True)
class Pool:
    """Max or average pooling; averages leave padding out."""

    function: str
    kernel: int
    stride: int = 1
    tag: ClassVar[str] = "pool"
    params: ClassVar[int] = 0

    def run(self, shape: Shape) -> tuple[Shape, int]:
        return (shape[0], strided(shape[1], self.stride), strided(shape[2], self.stride)), 0


@dataclass(frozen=True)
class FactorizedReduce:
    """Two pointwise convolutions of stride 2, one shifted by a pixel, side by side (DARTS ``operations.py``)."""

    c_in: int
    c_out: int
    tag: ClassVar[str] = "factorized_reduce"

    @property
    def params(self) -> int:
        return self.c_in * self.c_out

    def run(self, shape: Shape) -> tuple[Shape, int]:
        height, width = strided(shape[1], 2), strided(shape[2], 2)
        return (self.c_out, height, width), self.c_in * self.c_out * height * width


@dataclass(frozen=True)
class SqueezeExcite:
    """Global pooling, two pointwise convolutions with bias, a gate."""

    channels: int
    reduced: int
    tag: ClassVar[str] = "squeeze_excite"

    @property
    def params(self) -> int:
        return 2 * self.channels * self.reduced + self.reduced + self.channels

    def run(self, shape: Shape) -> tuple[Shape, int]:
        return shape, 2 * self.channels * self.reduced


@dataclass(frozen=True)
class Opaque:
    """Somebody's own module, known by what was measured of it."""

    name: str
    cost: tuple[int, int]
    c_out: int
    stride: int = 1
    tag: ClassVar[str] = "opaque"

    @property
    def params(self) -> int:
        return self.cost[0]

    def run(self, shape: Shape) -> tuple[Shape, int]:
        return (self.c_out, strided(shape[1], self.stride), strided(shape[2], self.stride)), self.cost[1]


Layer: TypeAlias = Conv | Norm | Act | Pool | FactorizedReduce | SqueezeExcite | Opaque
LAYERS: dict[str, type[Layer]] = {
    kind.tag: kind for kind in (Conv, Norm, Act, Pool, FactorizedReduce, SqueezeExcite, Opaque)
}


def run_layers(layers: tuple[Layer, ...], shape: Shape) -> tuple[Shape, int, int]:
    """Output shape, parameters and MACs of layers in sequence. Raises NATError where channels do not fit."""
    params = macs = 0
    for layer in layers:
        wanted = layer.c_in if isinstance(layer, Conv | FactorizedReduce) else getattr(layer, "channels", shape[0])
        if wanted != shape[0]:
            raise NATError(f"a layer '{layer.tag}' for {wanted} channels gets {shape[0]}")
        shape, more = layer.run(shape)
        params, macs = params + layer.params, macs + more
    return shape, params, macs
