"""What can be edited in a unit: knobs, those that share layers together, and all their settings with their costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product

from torch import nn

from nat_timm.documents.edits import Edit
from nat_timm.moves.widths import Chain, chain, smaller
from nat_timm.reading.branches import is_branch
from nat_timm.reading.parts import (
    GATES,
    ConvPart,
    LayerChange,
    LinearPart,
    Pair,
    WeightedLayer,
    conv_part,
    gate_part,
    norm_part,
)
from nat_timm.reading.trace import Step, Trace
from nat_timm.reading.units import ModelUnit, group

MOST = 64
"""Settings of one composite op."""


@dataclass(frozen=True, eq=False)
class Knob:
    """One thing that can be set. ``values``: the present one first; 0 means that the layer is left out."""

    kind: str  # kernel, hidden or gate
    paths: tuple[str, ...]
    values: tuple[int, ...]
    step: Step
    parts: dict[str, WeightedLayer]
    chain: Chain | None = None
    """Of ``hidden``."""
    is_branch: bool = False
    """Left out, it gives zeros: it is one of several that read the same and are added up."""


@dataclass(frozen=True)
class Variant:
    """A setting: the edits that make it and what it costs."""

    settings: tuple[int, ...]
    edits: tuple[Edit, ...]
    cost: Pair


@dataclass(frozen=True, eq=False)
class Component:
    """Knobs that share layers, in order of execution, and their settings, the present one first."""

    knobs: tuple[Knob, ...]
    variants: tuple[Variant, ...]
    paths: frozenset[str] = field(default_factory=frozenset)

    @property
    def is_skippable(self) -> bool:
        """A single layer that may be left out: it is an edge of its own, and may become a skip."""
        return len(self.knobs) == 1 and self.knobs[0].kind != "hidden" and 0 in self.knobs[0].values


def components(trace: Trace, unit: ModelUnit) -> tuple[Component, ...]:
    knobs = _knobs(trace, unit)
    clusters: list[tuple[set[str], list[Knob]]] = []
    for knob in knobs:
        paths, together = set(knob.parts), [knob]
        for other in [each for each in clusters if each[0] & paths]:
            clusters.remove(other)
            paths |= other[0]
            together = other[1] + together
        clusters.append((paths, together))
    found = []
    for paths, together in clusters:
        ordered = tuple(sorted(together, key=lambda knob: (trace.order[knob.step], knob.kind)))
        variants = tuple(_variants(ordered))
        if len(variants) > 1:
            found.append(Component(ordered, variants, frozenset(paths)))
    return tuple(sorted(found, key=lambda each: trace.order[each.knobs[0].step]))


def joined(parts: Sequence[Component], made: frozenset[Edit] = frozenset()) -> tuple[Component, ...]:
    """All components of a unit as one, of which the settings that change least are kept. ``made``: what was changed
    already; where that is not among them, those that change least of it are kept."""
    if not parts:
        return ()
    knobs = tuple(knob for part in parts for knob in part.knobs)
    base, now = (_together([_at(part, edits) for part in parts]) for edits in (frozenset[Edit](), made))
    found = [base]
    for chosen in product(*(part.variants for part in parts)):
        variant = _together(chosen)
        if variant.settings != base.settings and (variant == now or _makes_sense(knobs, variant.settings)):
            found.append(variant)
    found.sort(key=lambda variant: len(variant.edits))
    if now not in found[:MOST]:
        found[1:] = sorted(found[1:], key=lambda variant: len(set(variant.edits) ^ set(now.edits)))
    return (Component(knobs, tuple(found[:MOST]), frozenset().union(*(part.paths for part in parts))),)


def _at(part: Component, made: frozenset[Edit]) -> Variant:
    """What a component is once some edits were made."""
    return max((each for each in part.variants if made.issuperset(each.edits)), key=lambda each: len(each.edits))


def _together(chosen: Sequence[Variant]) -> Variant:
    settings = tuple(value for each in chosen for value in each.settings)
    edits = tuple(edit for each in chosen for edit in each.edits)
    return Variant(settings, edits, (sum(each.cost[0] for each in chosen), sum(each.cost[1] for each in chosen)))


def _knobs(trace: Trace, unit: ModelUnit) -> list[Knob]:
    members, knobs = set(unit.steps), list[Knob]()
    for step in unit.steps:
        module = trace.module(step)
        if module is None or trace.calls[str(step.target)] > 1:
            continue
        if isinstance(module, nn.Conv2d) and module.weight.dim() == 4:
            knob = _kernel(trace, module, step)
            if knob is not None:
                knobs.append(knob)
        elif type(module).__name__ in GATES and _keeps_shape(step):
            path = str(step.target)
            knobs.append(Knob("gate", (path,), (1, 0), step, {path: gate_part(module, step)}))
        if unit.is_block and (found := chain(trace, step, members)) is not None:
            values = smaller(unit, found)
            parts: dict[str, WeightedLayer] = dict(zip(found.paths, found.parts, strict=True))
            if values:
                knobs.append(Knob("hidden", found.paths, (found.hidden, *values), step, parts, found))
    return knobs


def _keeps_shape(step: Step) -> bool:
    sources = step.all_input_nodes
    return len(sources) == 1 and step.meta["shape"] is not None and sources[0].meta["shape"] == step.meta["shape"]


def _kernel(trace: Trace, conv: nn.Conv2d, step: Step) -> Knob | None:
    size, is_depthwise = conv.kernel_size, conv.groups == conv.in_channels > 1
    values = [size[0]]
    if size[0] == size[1] and size[0] % 2 and conv.padding_mode == "zeros":
        # A window smaller than its stride would leave pixels out; torch 2.14 on a CPU also corrupts memory in the
        # gradient of a strided 1x1 convolution of 2 to 7 channels in channels_last.
        smallest = max(3 if is_depthwise else 1, *conv.stride)
        values += [k for k in range(size[0] - 2, 0, -2) if k >= smallest and _can_shrink(conv, k)]
    steps = group(trace, step)
    parts: dict[str, WeightedLayer] = {str(step.target): conv_part(conv, step)}
    if _keeps_shape(step) and conv.stride == (1, 1):
        values.append(0)
        for each in steps[1:]:
            module = trace.module(each)
            assert module is not None
            norm = norm_part(module, conv.out_channels)
            parts[str(each.target)] = norm if norm is not None else gate_part(module, each)
    if len(values) == 1:
        return None
    return Knob("kernel", tuple(parts), tuple(values), step, parts, is_branch=is_branch(trace, step, steps[-1]))


def _can_shrink(conv: nn.Conv2d, k: int) -> bool:
    """Whether less padding keeps the size of the output."""
    if isinstance(conv.padding, str) or "Same" in type(conv).__name__:
        return True
    return all(
        pad - dilation * (conv.kernel_size[0] - k) // 2 >= 0
        for pad, dilation in zip(conv.padding, conv.dilation, strict=True)
    )


def _variants(knobs: Sequence[Knob]) -> Iterator[Variant]:
    for number, settings in enumerate(product(*(knob.values for knob in knobs))):
        if number and not _makes_sense(knobs, settings):
            continue
        if number >= MOST:
            return
        edits: list[Edit] = []
        changes: dict[str, LayerChange] = {}
        parts: dict[str, WeightedLayer] = {}
        for knob, value in zip(knobs, settings, strict=True):
            for path, part in knob.parts.items():  # a norm in a hidden chain stays a function of its channels
                if not isinstance(parts.get(path), ConvPart | LinearPart):
                    parts[path] = part
            if value != knob.values[0]:
                edits.append(_edit(knob, value))
                for path, change in _changes(knob, value):
                    changes[path] = _merged(changes.get(path, LayerChange()), change)
        costs = [part.cost(changes.get(path, LayerChange())) for path, part in parts.items()]
        yield Variant(settings, tuple(edits), (sum(cost[0] for cost in costs), sum(cost[1] for cost in costs)))


def _makes_sense(knobs: Sequence[Knob], settings: tuple[int, ...]) -> bool:
    """A layer at the end of hidden channels that changed cannot be left out, nor all convolutions together."""
    ends = {
        path
        for knob, value in zip(knobs, settings, strict=True)
        if knob.kind == "hidden" and value != knob.values[0]
        for path in (knob.paths[0], knob.paths[-1])
    }
    kernels = [(knob, value) for knob, value in zip(knobs, settings, strict=True) if knob.kind == "kernel"]
    if any(value == 0 and knob.paths[0] in ends for knob, value in kernels):
        return False
    return len(kernels) < 2 or any(value for _, value in kernels)


def _edit(knob: Knob, value: int) -> Edit:
    if knob.kind == "hidden":
        return Edit("hidden", knob.paths, value)
    if value:
        return Edit("kernel", knob.paths[:1], value)
    return Edit("drop" if knob.is_branch else "skip", knob.paths)


def _changes(knob: Knob, value: int) -> Iterator[tuple[str, LayerChange]]:
    if knob.kind == "hidden":
        yield knob.paths[0], LayerChange(c_out=value)
        for path in knob.paths[1:-1]:
            yield path, LayerChange(c_in=value, c_out=value)
        yield knob.paths[-1], LayerChange(c_in=value)
    elif value:
        yield knob.paths[0], LayerChange(area=value * value)
    else:
        for path in knob.paths:
            yield path, LayerChange(gone=True)


def _merged(one: LayerChange, other: LayerChange) -> LayerChange:
    return LayerChange(
        one.gone or other.gone,
        other.area if one.area is None else one.area,
        other.c_in if one.c_in is None else one.c_in,
        other.c_out if one.c_out is None else one.c_out,
    )
