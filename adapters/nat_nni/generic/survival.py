"""What of a model can be nothing, or take another input, so that its output still depends on its input in any case."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
from torch import nn

from nat_nni.generic.candidates import GroupCandidates
from nat_nni.generic.groups import LabelGroup
from nat_nni.generic.inputs import InputWiring
from nat_nni.generic.measuring import survives_without
from nat_nni.generic.tree import Spot

NEEDED = "with other inputs, or where other parts become nothing, the output would not depend on the image"
Pair: TypeAlias = tuple[LabelGroup, GroupCandidates]


@dataclass(frozen=True)
class Settled:
    """The groups and input choices with what they may become, and the labels that may not change for that reason."""

    groups: list[Pair]
    wirings: list[InputWiring]
    held: list[str]


def settle(groups: Sequence[Pair], wirings: Sequence[InputWiring], model: nn.Module, image: torch.Tensor) -> Settled:
    """Let as many input choices change and make null of the zeros of as many groups as the model can do without, all at
    once. The order is always the same, so that a moved network is read as the same one."""
    settled, free, held = list(groups), [], []
    zeros = [number for number, (_, each) in enumerate(groups) if each.zeros]
    cut = _paths(groups[number][0].spots for number in zeros if groups[number][1].is_zero)
    bare = [wiring for wiring in wirings if not wiring.chosen]
    works = not (cut or bare) or survives_without(model, image, cut)
    wired: dict[str, Sequence[Sequence[int]]] = {}

    def may_change(spots: Sequence[Spot], options: Sequence[Sequence[int]]) -> bool:
        more = {**wired, **{spot.path: options for spot in spots}}
        if works and survives_without(model, image, cut, more):
            wired.update(more)
            return True
        return False

    for number, (group, candidates) in enumerate(groups):
        if candidates.chooses_inputs and not may_change(group.spots, [row.values[0] for row in candidates.rows]):
            settled[number] = group, candidates.held()
            held.append(candidates.name)
    for wiring in wirings:
        ways = [wiring, replace(wiring, empty=False)] if wiring.empty and wiring.chosen else [wiring]
        found = next((each for each in ways if may_change(each.spots, each.options)), None)
        if found is None:
            found = replace(wiring, free=False, empty=wiring.empty and (works or bool(wiring.chosen)))
            held.append(wiring.label)
        free.append(found)
    for number in zeros:
        group, candidates = groups[number]
        further = [*cut, *_paths([group.spots])]
        if candidates.is_zero:
            settled[number] = group, candidates.with_null(bypass=works)
        elif works and survives_without(model, image, further, wired):
            cut = further
            settled[number] = group, candidates.with_null(bypass=True)
        else:
            settled[number] = group, candidates.without_zeros()
    return Settled(settled, free, held)


def _paths(each: Iterable[Sequence[Spot]]) -> list[str]:
    return [spot.path for spots in each for spot in spots]
