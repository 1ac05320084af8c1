"""Which labels of a space can be edited, and where: groups of labels with the modules that they are decided in.

A label may change as long as the module around it (the *unit*) gives outputs of the same shapes: then nothing before or
after it costs anything else, and costs add up exactly. The unit of a label is the smallest module for which that holds:
a layer choice itself, the inverted residual around an expansion. Labels that meet in one unit are one choice.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nni.nas.nn.pytorch import LayerChoice

from nat_nni.generic.inputs import InputWiring, find_wiring, input_values, is_rebuilt
from nat_nni.generic.measurer import MAX_COMBINATIONS, Measurer
from nat_nni.generic.measuring import signature
from nat_nni.generic.tree import Spot

_CONSTRAINT = "a constraint, and no choice"
_TIED = "the constraint '{}' ties labels together"
_SAME = "no other inputs cost the same and have the same shape"
_REBUILT = "a module with a freeze of its own is built around it"
_SEEN = "it changes shapes that the rest of the model sees"
_TOO_MANY = "it stands around other choices, with more combinations than can be measured"


@dataclass(eq=False)
class LabelGroup:
    """Labels that are decided together, in one unit or (a label that stands in many places) several."""

    labels: tuple[str, ...]
    spots: tuple[Spot, ...]


@dataclass(eq=False)
class RepeatStage:
    """A ``Repeat`` of variable depth whose blocks keep the shape from ``least`` on."""

    label: str
    spot: Spot
    least: int
    blocks: tuple[LabelGroup, ...]


@dataclass(eq=False)
class FoundGroups:
    """The groups (without those of stages), the stages, the input choices of any number of inputs, and why the other
    labels are not editable."""

    groups: list[LabelGroup]
    stages: list[RepeatStage]
    wirings: list[InputWiring]
    fixed: dict[str, str]


def find_groups(root: Spot, measurer: Measurer) -> FoundGroups:
    fixed: dict[str, str] = {}
    everywhere = _users(root)
    for name, tied in (item for spot in root.all() for item in spot.constraints.items()):
        fixed |= {name: _CONSTRAINT, **{label: _TIED.format(name) for label in tied}}
    units, wirings = _input_units(everywhere, measurer, fixed)
    for label, users in everywhere.items():
        domain = measurer.domains.get(label)
        if label in units or label in fixed:
            continue
        if domain is None or not domain.values:
            fixed[label] = "not a choice of values"
        elif len(domain.values) < 2:
            fixed[label] = "there is nothing to choose"
        else:
            found = [_climb(spot, label, measurer, everywhere) for spot in users]
            if any(each is None for each in found):
                fixed[label] = _SEEN
            else:
                units[label] = _outermost(each for each in found if each is not None)
    units = {label: units[label] for label in everywhere if label in units}  # a cell has the name of its first label
    stages = [each for spot in root.all() if (each := _stage(spot, units, fixed, measurer)) is not None]
    taken = {label for stage in stages for label in (stage.label, *(x for block in stage.blocks for x in block.labels))}
    rest = {label: spots for label, spots in units.items() if label not in taken}
    for label in _swallowing(rest, measurer):
        fixed[label] = _TOO_MANY
        del rest[label]
    groups = _merged([LabelGroup((label,), spots) for label, spots in rest.items()])
    alone = [wirings[group.labels[0]] for group in groups if len(group.labels) == 1 and group.labels[0] in wirings]
    names = {wiring.label for wiring in alone}
    return FoundGroups([group for group in groups if group.labels[0] not in names], stages, alone, fixed)


def _input_units(
    everywhere: Mapping[str, list[Spot]], measurer: Measurer, fixed: dict[str, str]
) -> tuple[dict[str, tuple[Spot, ...]], dict[str, InputWiring]]:
    """The units of input choices, and those of any number of inputs; what they can take is noted on the measurer."""
    units: dict[str, tuple[Spot, ...]] = {}
    wirings: dict[str, InputWiring] = {}
    for label, users in everywhere.items():
        if label in fixed or label not in measurer.domains or not measurer.domains[label].many:
            continue
        rebuilt = any(map(is_rebuilt, users))
        measurer.inputs[label] = [measurer.sample[label]] if rebuilt else input_values(label, users, measurer)
        wiring = None if rebuilt else find_wiring(label, users, measurer)
        if wiring is not None:
            wirings[label] = wiring
        if wiring is not None or len(measurer.values(label)) > 1:
            units[label] = _outermost(users)
        else:
            fixed[label] = _REBUILT if rebuilt else _SAME
    return units, wirings


def _swallowing(units: Mapping[str, tuple[Spot, ...]], measurer: Measurer) -> list[str]:
    """Labels whose units have other units inside, with more combinations than are measured; the largest units first."""
    inside = {
        label: {
            other
            for other, below in units.items()
            if any(a.within(b) and a.path != b.path for a in below for b in units[label])
        }
        for label in units
    }
    gone: set[str] = set()
    for label in sorted(units, key=lambda each: -len(inside[each])):
        left = inside[label] - gone
        if left and math.prod(len(measurer.values(each)) for each in (label, *left)) > MAX_COMBINATIONS:
            gone.add(label)
    return [label for label in units if label in gone]


def _users(root: Spot) -> dict[str, list[Spot]]:
    found: dict[str, list[Spot]] = {}
    for spot in root.all():
        for label in spot.labels:
            found.setdefault(label, []).append(spot)
    return found


def _climb(spot: Spot, label: str, measurer: Measurer, users: Mapping[str, list[Spot]]) -> Spot | None:
    """The smallest module around a spot whose outputs keep their shapes whatever the label says, if there is one that
    is not too large to be measured. A value with which a layer choice itself fails is left out, not a reason to look
    further."""
    around: Spot | None = spot
    while around is not None and around.parent is not None:
        if around is not spot and not _is_small(around, label, measurer, users):
            return None
        if around.path in measurer.recording.calls and all(
            measurer.keeps_shapes(around, {label: value}) or (around is spot and _fails(spot, {label: value}, measurer))
            for value in measurer.values(label)
        ):
            return around
        around = around.parent
    return None


def _fails(spot: Spot, values: Mapping[str, Any], measurer: Measurer) -> bool:
    return isinstance(spot.module, LayerChoice) and measurer.variant(spot, values) is None


def _is_small(around: Spot, label: str, measurer: Measurer, users: Mapping[str, list[Spot]]) -> bool:
    """Whether the label, and others that are used nowhere else, have few enough combinations inside a spot."""
    count = len(measurer.values(label))
    for other in {each for spot in around.all() for each in spot.labels} - {label}:
        if all(spot.within(around) for spot in users[other]):
            count *= max(len(measurer.values(other)), 1)
    return count <= MAX_COMBINATIONS


def _outermost(spots: Iterable[Spot]) -> tuple[Spot, ...]:
    found: list[Spot] = []
    for spot in spots:
        if not any(spot.within(other) or spot.path == other.path for other in found):
            found = [other for other in found if not other.within(spot)] + [spot]
    return tuple(found)


def _merged(groups: list[LabelGroup]) -> list[LabelGroup]:
    """Groups that meet in a module become one."""
    found: list[LabelGroup] = []
    for group in groups:
        while True:
            met = next((each for each in found if _meet(each, group)), None)
            if met is None:
                break
            found.remove(met)
            group = LabelGroup((*met.labels, *group.labels), _outermost((*met.spots, *group.spots)))
        found.append(group)
    return found


def _meet(one: LabelGroup, other: LabelGroup) -> bool:
    return any(a.path == b.path or a.within(b) or b.within(a) for a in one.spots for b in other.spots)


def _depth_label(spot: Spot) -> str | None:
    """The label of the depth of a ``Repeat``, if that is a plain choice."""
    label = getattr(getattr(spot.module, "depth_choice", None), "label", None)
    return str(label) if label is not None and spot.labels == (label,) else None


def _stage(
    spot: Spot, units: Mapping[str, tuple[Spot, ...]], fixed: Mapping[str, str], measurer: Measurer
) -> RepeatStage | None:
    """A ``Repeat`` whose depth is a choice of its own and whose blocks choose independently; else None."""
    label = _depth_label(spot)
    if label is None or units.get(label) != (spot,):
        return None
    values = measurer.values(label)
    least = min(values)
    if sorted(values) != list(range(least, max(values) + 1)):
        return None
    blocks = []
    each_inside = [measurer.labels_of(block) - set(fixed) for block in spot.module.blocks]  # type: ignore[union-attr]
    if len(frozenset().union(*each_inside)) < sum(map(len, each_inside)):
        return None
    for block in spot.children:
        inside = {each for below in block.all() for each in below.labels}
        own = tuple(each for each in units if each in inside)
        if not measurer.single(block):
            return None
        if any(not unit.within(block) for each in own for unit in units[each]):
            return None
        if math.prod(len(measurer.values(each)) for each in own) > MAX_COMBINATIONS:
            return None
        blocks.append(LabelGroup(own, (block,)))
    for block in spot.children[least:]:
        call = measurer.recording.calls[block.path][0]
        if len(call.args) != 1 or call.kwargs or signature(call.args[0]) != call.output:
            return None
    return RepeatStage(label, spot, least, tuple(blocks)) if blocks else None
