"""Which labels of a space can be edited, and where: groups of labels with the modules that they are decided in.

A label may change as long as the module around it (the *unit*) gives outputs of the same shapes: then nothing before or
after it costs anything else, and costs add up exactly. The unit of a label is the smallest module for which that holds:
a layer choice itself, the inverted residual around an expansion. Labels that meet in one unit are one choice.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, TypeAlias

from nni.nas.nn.pytorch import MutableModule
from torch import nn

from nat_nni.measuring import Measured, Recording, measure, signature
from nat_nni.samples import Domain, Sample
from nat_nni.tree import Spot

MAX_COMBINATIONS = 256
"""Of the values of the labels of one group; with more, one label at a time may differ from the sample."""
Values: TypeAlias = tuple[Any, ...]
"""One for each label of a group."""
_SEEN = "it changes shapes that the rest of the model sees"
_TOO_MANY = "it stands around other choices, with more combinations than can be measured"


@dataclass(eq=False)
class Group:
    """Labels that are decided together, in one unit or (a label that stands in many places) several."""

    labels: tuple[str, ...]
    spots: tuple[Spot, ...]


@dataclass(eq=False)
class Stage:
    """A ``Repeat`` of variable depth whose blocks keep the shape from ``least`` on."""

    label: str
    spot: Spot
    least: int
    blocks: tuple[Group, ...]


@dataclass
class Bench:
    """A frozen sample to measure variants of its parts in. ``measured`` is kept over samples of one space."""

    sample: Sample
    recording: Recording
    domains: Mapping[str, Domain]
    measured: dict[Any, Measured | None] = field(default_factory=dict)
    inside: dict[nn.Module, frozenset[str]] = field(default_factory=dict)
    """Labels by module of the space; kept likewise."""

    def variant(self, spot: Spot, values: Mapping[str, Any]) -> Measured | None:
        """A spot with other values of some labels, on the inputs that it has in this sample; None: it does not run."""
        calls = self.recording.calls.get(spot.path)
        if calls is None:
            return None
        sample = {**self.sample, **values}
        key = (
            spot.path,
            tuple((label, str(sample.get(label))) for label in sorted(self.labels(spot.owner or spot))),
            tuple((signature(call.args), signature(call.kwargs)) for call in calls),
        )
        if key not in self.measured:
            self.measured[key] = self._measure(spot, sample)
        return self.measured[key]

    def labels(self, spot: Spot) -> frozenset[str]:
        """All labels that the module of a spot has inside, in use or not."""
        return self.labels_of(spot.module)

    def labels_of(self, module: nn.Module) -> frozenset[str]:
        found = self.inside.get(module)
        if found is None:
            modules = [each for each in module.modules() if isinstance(each, MutableModule)]
            found = frozenset(label for each in modules for one in each.mutables for label in one.simplify())
            self.inside[module] = found
        return found

    def _measure(self, spot: Spot, sample: Sample) -> Measured | None:
        try:
            module = spot.freeze(sample)
        except Exception:  # noqa: BLE001 - constructors of the user's may fail in any way; then it is no candidate
            return None
        return measure(module, self.recording.calls[spot.path])

    def keeps_shapes(self, spot: Spot, values: Mapping[str, Any]) -> bool:
        found = self.variant(spot, values)
        return found is not None and found.output == tuple(call.output for call in self.recording.calls[spot.path])

    def single(self, spot: Spot) -> bool:
        return len(self.recording.calls.get(spot.path, ())) == 1


def combinations(labels: Sequence[str], domains: Mapping[str, Domain], sample: Sample) -> list[Values]:
    """The values that the labels of a group can have together: all, or if those are too many, one changed at a time."""
    now = tuple(sample[label] for label in labels)
    if math.prod(len(domains[label].values) for label in labels) <= MAX_COMBINATIONS:
        return list(product(*(domains[label].values for label in labels)))
    found = [now]
    for at, label in enumerate(labels):
        found += [(*now[:at], value, *now[at + 1 :]) for value in domains[label].values if value != now[at]]
    return found


def find_groups(root: Spot, bench: Bench) -> tuple[list[Group], list[Stage], dict[str, str]]:
    """The groups (without those of stages), the stages, and why the other labels are not editable."""
    units: dict[str, tuple[Spot, ...]] = {}
    fixed: dict[str, str] = {}
    everywhere = _users(root)
    for label, users in everywhere.items():
        domain = bench.domains.get(label)
        if domain is None or domain.many or not domain.values:
            fixed[label] = "inputs are wiring" if domain is not None and domain.many else "not a choice of values"
            continue
        if len(domain.values) < 2:
            fixed[label] = "there is nothing to choose"
            continue
        found = [_climb(spot, label, bench, everywhere) for spot in users]
        if any(each is None for each in found):
            fixed[label] = _SEEN
        else:
            units[label] = _outermost(each for each in found if each is not None)
    stages = [each for spot in root.all() if (each := _stage(spot, units, fixed, bench)) is not None]
    taken = {label for stage in stages for label in (stage.label, *(x for block in stage.blocks for x in block.labels))}
    rest = {label: spots for label, spots in units.items() if label not in taken}
    for label in _swallowing(rest, bench.domains, set(rest)):
        fixed[label] = _TOO_MANY
        del rest[label]
    groups = _merged([Group((label,), spots) for label, spots in rest.items()])
    return groups, stages, fixed


def _swallowing(units: Mapping[str, tuple[Spot, ...]], domains: Mapping[str, Domain], asked: set[str]) -> list[str]:
    """Labels whose units have other units inside, with more combinations than are measured; the largest units first."""
    inside = {
        label: {
            other
            for other, below in units.items()
            if any(a.within(b) and a.path != b.path for a in below for b in units[label])
        }
        for label in asked
    }
    gone: set[str] = set()
    for label in sorted(asked, key=lambda each: -len(inside[each])):
        left = inside[label] - gone
        if left and math.prod(len(domains[each].values) for each in (label, *left)) > MAX_COMBINATIONS:
            gone.add(label)
    return [label for label in units if label in gone]


def _users(root: Spot) -> dict[str, list[Spot]]:
    found: dict[str, list[Spot]] = {}
    for spot in root.all():
        for label in spot.labels:
            found.setdefault(label, []).append(spot)
    return found


def _climb(spot: Spot, label: str, bench: Bench, users: Mapping[str, list[Spot]]) -> Spot | None:
    """The smallest module around a spot whose outputs keep their shapes whatever the label says, if there is one that
    is not too large to be measured."""
    around: Spot | None = spot
    while around is not None and around.parent is not None:
        if around is not spot and not _is_small(around, label, bench, users):
            return None
        if around.path in bench.recording.calls and all(
            bench.keeps_shapes(around, {label: value}) for value in bench.domains[label].values
        ):
            return around
        around = around.parent
    return None


def _is_small(around: Spot, label: str, bench: Bench, users: Mapping[str, list[Spot]]) -> bool:
    """Whether the label, and others that are used nowhere else, have few enough combinations inside a spot."""
    count = len(bench.domains[label].values)
    for other in {each for spot in around.all() for each in spot.labels} - {label}:
        if all(spot.within(around) for spot in users[other]):
            count *= max(len(bench.domains[other].values), 1)
    return count <= MAX_COMBINATIONS


def _outermost(spots: Iterable[Spot]) -> tuple[Spot, ...]:
    found: list[Spot] = []
    for spot in spots:
        if not any(spot.within(other) or spot.path == other.path for other in found):
            found = [other for other in found if not other.within(spot)] + [spot]
    return tuple(found)


def _merged(groups: list[Group]) -> list[Group]:
    """Groups that meet in a module become one."""
    found: list[Group] = []
    for group in groups:
        while True:
            met = next((each for each in found if _meet(each, group)), None)
            if met is None:
                break
            found.remove(met)
            group = Group((*met.labels, *group.labels), _outermost((*met.spots, *group.spots)))
        found.append(group)
    return found


def _meet(one: Group, other: Group) -> bool:
    return any(a.path == b.path or a.within(b) or b.within(a) for a in one.spots for b in other.spots)


def _depth_label(spot: Spot) -> str | None:
    """The label of the depth of a ``Repeat``, if that is a plain choice."""
    label = getattr(getattr(spot.module, "depth_choice", None), "label", None)
    return str(label) if label is not None and spot.labels == (label,) else None


def _stage(spot: Spot, units: Mapping[str, tuple[Spot, ...]], fixed: Mapping[str, str], bench: Bench) -> Stage | None:
    """A ``Repeat`` whose depth is a choice of its own and whose blocks choose independently; else None."""
    label = _depth_label(spot)
    if label is None or units.get(label) != (spot,):
        return None
    values = bench.domains[label].values
    least = min(values)
    if sorted(values) != list(range(least, max(values) + 1)):
        return None
    blocks = []
    each_inside = [bench.labels_of(block) - set(fixed) for block in spot.module.blocks]  # type: ignore[union-attr]
    if len(frozenset().union(*each_inside)) < sum(map(len, each_inside)):
        return None
    for block in spot.children:
        inside = {each for below in block.all() for each in below.labels}
        own = tuple(each for each in units if each in inside)
        if not bench.single(block):
            return None
        if any(not unit.within(block) for each in own for unit in units[each]):
            return None
        if math.prod(len(bench.domains[each].values) for each in own) > MAX_COMBINATIONS:
            return None
        blocks.append(Group(own, (block,)))
    for block in spot.children[least:]:
        call = bench.recording.calls[block.path][0]
        if len(call.args) != 1 or call.kwargs or signature(call.args[0]) != call.output:
            return None
    return Stage(label, spot, least, tuple(blocks)) if blocks else None
