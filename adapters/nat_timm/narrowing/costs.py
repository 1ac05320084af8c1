"""What a model costs as a function of the widths of its groups: exact, without building it anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from torch import nn

from nat_plugin.ir import Cost
from nat_timm.reading.coupling import SEQUENCES, Coupling
from nat_timm.reading.parts import ConvPart, LayerChange, LinearPart, WeightedLayer, conv_part, squeeze_part
from nat_timm.reading.trace import Step, Trace, positions

Channels = tuple[tuple[int, int], ...]
"""Groups that stand side by side, by number, each with its channels as built."""


@dataclass(frozen=True)
class _Layer:
    part: WeightedLayer
    reads: Channels
    makes: Channels

    def cost(self, widths: Mapping[int, int]) -> tuple[int, int]:
        return self.part.cost(LayerChange(c_in=_sum(self.reads, widths), c_out=_sum(self.makes, widths)))


@dataclass(frozen=True, eq=False)
class WidthCosts:
    """Of a traced model. ``widths`` of its methods are by number of the group; what is not in them is as built."""

    layers: tuple[_Layer, ...]
    total: Cost
    """Of the model as built."""

    def cost(self, widths: Mapping[int, int]) -> Cost:
        return self.total + Cost(*self._more(self.layers, widths, {}))

    def saved(self, group: int, widths: Mapping[int, int], width: int) -> Cost:
        """What is saved where one group gets ``width``."""
        params, macs = self._more(self.by_group.get(group, ()), {**widths, group: width}, widths)
        return Cost(-params, -macs)

    @cached_property
    def by_group(self) -> dict[int, tuple[_Layer, ...]]:
        found: dict[int, dict[_Layer, None]] = {}
        for layer in self.layers:
            for group, _ in (*layer.reads, *layer.makes):
                found.setdefault(group, {})[layer] = None
        return {group: tuple(layers) for group, layers in found.items()}

    @staticmethod
    def _more(layers: tuple[_Layer, ...], widths: Mapping[int, int], than: Mapping[int, int]) -> tuple[int, int]:
        params = macs = 0
        for layer in layers:
            after, before = layer.cost(widths), layer.cost(than)
            params, macs = params + after[0] - before[0], macs + after[1] - before[1]
        return params, macs


def width_costs(trace: Trace, coupled: Coupling) -> WidthCosts:
    layers = []
    for path, part in _parts(trace, coupled):
        layers.append(_Layer(part, coupled.reads.get(path, ()), coupled.makes.get(path, ())))
    return WidthCosts(tuple(layers), Cost(trace.params, trace.macs))


def _parts(trace: Trace, coupled: Coupling) -> Iterator[tuple[str, WeightedLayer]]:
    """Every layer whose channels are understood. Of one that is called again only its MACs count."""
    seen = set[str]()
    for step in trace.steps:
        path, module = str(step.target), trace.module(step)
        if step.op == "get_attr" and path in coupled.makes and path not in seen:
            count = sum(size for _, size in coupled.makes[path])
            yield path, LinearPart(count, (1, 0), 0)
        elif module is not None and type(module).__name__ in SEQUENCES:
            for name in SEQUENCES[type(module).__name__]:
                yield f"{path}.{name}", conv_part(module.get_submodule(name), step)
        elif module is not None and (path in coupled.reads or path in coupled.makes):
            part = _part(module, step, sum(size for _, size in (coupled.makes.get(path) or coupled.reads[path])))
            if path in seen:
                part = _again(part)
            if part is not None:
                yield path, part
        seen.add(path)


def _part(module: nn.Module, step: Step, channels: int) -> WeightedLayer | None:
    if isinstance(module, nn.Conv2d | nn.Linear):
        return conv_part(module, step)
    if type(module).__name__ == "EffectiveSEModule":
        return _Square(positions(module.get_submodule("fc"), (1, channels, 1, 1)))
    found = squeeze_part(module, channels)
    if found is not None:
        return found
    return LinearPart(channels, (sum(each.numel() for each in module.parameters()) // channels, 0), 0)


def _again(part: WeightedLayer | None) -> WeightedLayer | None:
    """A layer that is called once more: its weights are there already."""
    return _MacsOnly(part) if isinstance(part, ConvPart) else None


@dataclass(frozen=True)
class _MacsOnly:
    part: WeightedLayer

    def cost(self, change: LayerChange) -> tuple[int, int]:
        return 0, self.part.cost(change)[1]


@dataclass(frozen=True)
class _Square:
    """A layer with a bias, of as many channels out as in."""

    positions: int

    def cost(self, change: LayerChange) -> tuple[int, int]:
        c_in, c_out = change.c_in or 0, change.c_out or 0
        return c_in * c_out + c_out, c_in * c_out * self.positions


def _sum(channels: Channels, widths: Mapping[int, int]) -> int | None:
    return sum(widths.get(group, size) for group, size in channels) if channels else None
