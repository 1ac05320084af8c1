"""One unit of a model as the inside of a cell: a chain of what can be edited, the rest last, a shortcut beside it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from torch import nn

from nat_plugin.ir import NULL, SKIP, Edge, Op
from nat_timm.documents.edits import FITTED, Edit
from nat_timm.moves.fits import Offer, offers, unit_cost
from nat_timm.moves.naming import base_name, setting_name
from nat_timm.moves.ops import timm_op
from nat_timm.moves.variants import Component, components, joined
from nat_timm.reading.parts import Pair
from nat_timm.reading.trace import Step, Trace
from nat_timm.reading.units import ModelUnit
from nat_timm.surgery.fusing import is_fused_away

Meanings: TypeAlias = dict[Op, tuple[Edit, ...]]
"""Of the choices of one edge: the edits that make each of them; none for the present one."""


@dataclass(frozen=True)
class TensorPlace:
    """A tensor of the network: its channels and how many halvings below the image."""

    channels: int
    level: int

    def between(self, above: TensorPlace, end: TensorPlace) -> TensorPlace:
        """Resolutions never grow within a cell, whatever a branch of it does for a while."""
        return TensorPlace(self.channels, min(max(self.level, above.level), max(end.level, above.level)))


def place(trace: Trace, step: Step, otherwise: TensorPlace) -> TensorPlace:
    """Where the value of a step stands; ``otherwise`` if it is no feature map. Levels are nominal: what is lost to
    padding counts for nothing."""
    shape = step.meta["shape"]
    if shape is None or len(shape) != 4:
        return otherwise
    return TensorPlace(shape[1], max(0, round(math.log2(trace.input[1] / max(1, shape[2])))))


@dataclass
class Links:
    """The edges of a cell, the places of its inner nodes, and what the choices of its edges mean, by key."""

    here: TensorPlace
    edges: list[Edge] = field(default_factory=list)
    nodes: list[TensorPlace] = field(default_factory=list)
    meanings: dict[str, Meanings] = field(default_factory=dict)

    def add(self, key: str, meaning: Meanings, after: TensorPlace) -> None:
        choices = tuple(meaning)
        number = len(self.nodes)
        self.edges.append(Edge(number, number + 1, choices[0], key, choices if len(choices) > 1 else ()))
        self.nodes.append(after)
        self.meanings[key] = meaning
        self.here = after


def links(
    trace: Trace, unit: ModelUnit, otherwise: TensorPlace, fits: bool = False, made: frozenset[Edit] = frozenset()
) -> Links:
    """``otherwise`` is where a unit starts that reads no feature map; ``fits``: whether operations may be fitted in the
    place of a block, which is one edge then; ``made``: edits that have to be among what it can say."""
    start = place(trace, unit.reads[0], otherwise) if unit.reads else otherwise
    found = Links(start)
    end = place(trace, unit.output, otherwise)
    end = end.between(start, end)
    if unit.label == "pool" and not unit.is_block:
        found.add(unit.path, _pool(trace, unit), end)
        return found
    parts, offered = components(trace, unit), offers(trace, unit) if fits else ()
    if offered:
        parts = joined(parts, made)
    spent = [component.variants[0].cost for component in parts]
    total = unit_cost(trace, unit)
    rest = (total[0] - sum(cost[0] for cost in spent), total[1] - sum(cost[1] for cost in spent))
    whole = bool(parts and offered) or (
        len(parts) == 1 and not (parts[0].is_skippable and (rest != (0, 0) or not _fits(trace, parts[0], start, end)))
    )
    taken: set[str] = set()
    for component in parts:
        base = base_name(unit, component, whole)
        while base in taken:
            base += "."
        taken.add(base)
        if whole:
            meaning = _meaning(unit, component, base, rest, is_part=not offered)
            found.add(unit.path, meaning | _fitting(offered), end)
        else:
            _add_component(found, trace, unit, component, base, end)
    if not whole and (not parts or rest != (0, 0) or found.here != end):
        only: Meanings = {timm_op(_rest_name(unit, parts), *rest): ()}
        found.add(f"{unit.path}/rest" if parts else unit.path, only | _fitting(offered), end)
    _add_shortcut(found, trace, unit)
    return found


def _rest_name(unit: ModelUnit, parts: tuple[Component, ...]) -> str:
    return f"{unit.label}_rest" if parts else unit.label


def _fits(trace: Trace, component: Component, start: TensorPlace, end: TensorPlace) -> bool:
    step = component.knobs[0].step
    return place(trace, step.all_input_nodes[0], start) == start and place(trace, step, end) == end


def _add_component(
    made: Links, trace: Trace, unit: ModelUnit, component: Component, base: str, end: TensorPlace
) -> None:
    knob = component.knobs[0]
    before, after = made.here, made.here
    if component.is_skippable:
        before = place(trace, knob.step.all_input_nodes[0], before).between(before, end)
        after = place(trace, knob.step, before).between(before, end)
        if before != made.here:
            made.add(f"{knob.paths[0]}/join", {timm_op("join", 0, 0): ()}, before)
    meaning = _meaning(unit, component, base, (0, 0))
    if before != after:
        meaning.pop(SKIP, None)
    made.add(knob.paths[0], meaning, after)


def _fitting(offered: Iterable[Offer]) -> Meanings:
    return {timm_op(each.name, *each.cost): (Edit(FITTED, each.at, each.form),) for each in offered}


def _meaning(unit: ModelUnit, component: Component, base: str, rest: Pair, is_part: bool = True) -> Meanings:
    """``is_part``: a layer that is left out is a skip; of a whole block it is the block without it."""
    found: Meanings = {}
    for variant in component.variants:
        if is_part and component.is_skippable and variant.settings == (0,):
            found[SKIP] = variant.edits
            continue
        name = setting_name(base, unit, component.knobs, variant.settings)
        found[timm_op(name, variant.cost[0] + rest[0], variant.cost[1] + rest[1])] = variant.edits
    return found


def _add_shortcut(made: Links, trace: Trace, unit: ModelUnit) -> None:
    """The shortcut of a residual block, whose branch may become null; or the place where one can be added: not where
    timm fuses the block with what is beside it."""
    key, end = f"{unit.path}/shortcut", len(made.nodes)
    if unit.residual is not None:
        last = made.edges[-1]
        made.edges[-1] = replace(last, choices=(*(last.choices or (last.op,)), NULL))
        made.meanings[last.key][NULL] = (Edit("null", (unit.path,), unit.residual.post),)
        made.edges.append(Edge(0, end, SKIP, key))
    elif (
        unit.is_block
        and unit.input is not None
        and unit.input.meta["shape"] == unit.output.meta["shape"]
        and not is_fused_away(trace.modules, unit.path)
    ):
        made.edges.append(Edge(0, end, NULL, key, (NULL, SKIP)))
        made.meanings[key] = {NULL: (), SKIP: (Edit("shortcut", (unit.path,)),)}


def _pool(trace: Trace, unit: ModelUnit) -> Meanings:
    module = trace.modules[unit.path]
    assert isinstance(module, nn.MaxPool2d | nn.AvgPool2d)
    size = module.kernel_size if isinstance(module.kernel_size, int) else module.kernel_size[0]
    kinds = ("max", "avg") if isinstance(module, nn.MaxPool2d) else ("avg", "max")
    found: Meanings = {Op.parse(f"{kinds[0]}_pool_{size}x{size}"): ()}
    if trace.calls[unit.path] > 1:
        return found
    if isinstance(module.kernel_size, int) and size > 1 and getattr(module, "dilation", 1) == 1:
        found[Op.parse(f"{kinds[1]}_pool_{size}x{size}")] = (Edit("pool", (unit.path,), kinds[1]),)
    if unit.output.meta["shape"] == unit.reads[0].meta["shape"]:
        found[SKIP] = (Edit("skip", (unit.path,)),)
    return found
