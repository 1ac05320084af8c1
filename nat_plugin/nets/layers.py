"""One torch module per primitive layer of the IR. All tensors are (N, C, H, W); a stride s maps H to ceil(H / s)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from torch import nn

from nat_plugin.errors import NATError
from nat_plugin.ir.layers import Act, Conv, FactorizedReduce, Layer, Norm, Opaque, Pool, SqueezeExcite
from nat_plugin.nets.blocks import ChannelGate, EvenPool, FactorizedReduction, StridedPointwise

NormFactory: TypeAlias = Callable[[int], nn.Module]
"""Makes the normalisation of so many channels."""

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "hardswish": nn.Hardswish,
    "silu": nn.SiLU,
}


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
