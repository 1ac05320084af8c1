"""What a layer costs as a function of its kernel and of how many channels it keeps: exact, without building it anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

from torch import nn

from nat_timm.reading.trace import Step, positions

Pair: TypeAlias = tuple[int, int]  # parameters, MACs
GATES = frozenset(
    [
        "SqueezeExcite",
        "SEModule",
        "EffectiveSEModule",
        "EcaModule",
        "CecaModule",
        "CbamModule",
        "LightCbamModule",
        "GatherExcite",
        "GlobalContext",
        "SqueezeExciteCl",
        "SEWithNorm",
    ]
)
"""Channel and spatial attention that multiplies a feature map: it can be left out."""


@dataclass(frozen=True)
class LayerChange:
    """What becomes of a layer: gone, another kernel (``area`` = height x width), other channels."""

    gone: bool = False
    area: int | None = None
    c_in: int | None = None
    c_out: int | None = None


class WeightedLayer(Protocol):
    """A layer with weights."""

    def cost(self, change: LayerChange) -> Pair: ...


@dataclass(frozen=True)
class ConvPart:
    """A convolution or linear layer. ``width``: channels that one output channel reads; ``per_out``: further
    parameters of an output channel (bias, gain); ``positions``: uses of the weights for one image."""

    width: int
    c_out: int
    grouped: bool
    area: int
    per_out: int
    positions: int

    def cost(self, change: LayerChange) -> Pair:
        if change.gone:
            return 0, 0
        width = self.width if self.grouped or change.c_in is None else change.c_in
        c_out = self.c_out if change.c_out is None else change.c_out
        weights = width * c_out * (self.area if change.area is None else change.area)
        return weights + self.per_out * c_out, weights * self.positions


@dataclass(frozen=True)
class LinearPart:
    """A layer whose cost is a linear function of its channels: a norm, a squeeze-excite of given inner width."""

    channels: int
    params: Pair  # per channel, constant
    macs: int  # per channel

    def cost(self, change: LayerChange) -> Pair:
        if change.gone:
            return 0, 0
        channels = self.channels if change.c_out is None else change.c_out
        return channels * self.params[0] + self.params[1], channels * self.macs


@dataclass(frozen=True)
class FixedPart:
    """A layer that is there or not."""

    params: int
    macs: int

    def cost(self, change: LayerChange) -> Pair:
        return (0, 0) if change.gone else (self.params, self.macs)


def conv_part(module: nn.Module, step: Step) -> ConvPart:
    weight = module.weight
    assert isinstance(weight, nn.Parameter)
    extra = sum(parameter.numel() for parameter in module.parameters()) - weight.numel()
    grouped = getattr(module, "groups", 1) > 1
    area = weight[0, 0].numel() if weight.dim() == 4 else 1
    return ConvPart(
        weight.shape[1], weight.shape[0], grouped, area, extra // weight.shape[0], positions(module, step.meta["shape"])
    )


def norm_part(module: nn.Module, channels: int) -> LinearPart | None:
    """None where parameters do not belong to channels evenly, or channels are normed in groups."""
    params = sum(parameter.numel() for parameter in module.parameters())
    if params % channels or getattr(module, "num_groups", 1) != 1:
        return None
    return LinearPart(channels, (params // channels, 0), 0)


def gate_part(module: nn.Module, step: Step) -> FixedPart:
    return FixedPart(sum(parameter.numel() for parameter in module.parameters()), step.meta["macs"])


def squeeze_layers(module: nn.Module) -> tuple[str, str] | None:
    """The names of the two layers of a squeeze-excite whose inner width does not depend on its channels."""
    kind = type(module).__name__
    names = {"SqueezeExcite": ("conv_reduce", "conv_expand"), "SEModule": ("fc1", "fc2")}.get(kind)
    return names if names is not None and all(hasattr(module, name) for name in names) else None


def squeeze_part(module: nn.Module, channels: int) -> LinearPart | None:
    names = squeeze_layers(module)
    if names is None:
        return None
    reduce, expand = (getattr(module, name) for name in names)
    if not all(
        isinstance(each, nn.Conv2d) and each.kernel_size == (1, 1) and each.groups == 1 for each in (reduce, expand)
    ):
        return None
    if reduce.in_channels != channels or expand.out_channels != channels:
        return None
    inner = reduce.out_channels
    per_channel = 2 * inner + (expand.bias is not None)
    constant = sum(parameter.numel() for parameter in module.parameters()) - per_channel * channels
    return LinearPart(channels, (per_channel, constant), 2 * inner)
