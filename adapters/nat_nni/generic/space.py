"""Any model space as a network: its choices in the order in which they are computed, and one fixed part for the rest.

Every group of labels (``groups``) is a cell with one edge; a ``Repeat`` of variable depth is a cell with an edge for
each block. Candidates that pass their input on are skip, those that give zeros are null where the model still works
without, all others are opaque ops with the parameters and MACs that were measured. What the fixed parts cost stands in
the stem, so that the total is that of the frozen model, to the unit.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from weakref import ref

import torch
from torch import nn

from nat_nni.generic.candidates import GroupCandidates, find_candidates
from nat_nni.generic.chain import ChainCell, build
from nat_nni.generic.groups import LabelGroup, RepeatStage, find_groups
from nat_nni.generic.inputs import InputWiring
from nat_nni.generic.measurer import MeasurementCache, Measurer
from nat_nni.generic.measuring import Recording, record
from nat_nni.generic.survival import NEEDED, settle
from nat_nni.generic.tree import tree
from nat_nni.samples.described import SampleRemarks
from nat_nni.samples.domains import domains_of
from nat_nni.samples.values import Domain, Sample, write_sample
from nat_plugin import NATError
from nat_plugin.ir import Network, NetworkSize, Origin, Shape


@dataclass(frozen=True)
class SamplePlan:
    """What was found out about one sample: the groups and stages with their candidates, the input choices of any
    number, the network, which labels no move changes, and what is not offered, both with the reason."""

    groups: tuple[tuple[LabelGroup, GroupCandidates], ...]
    stages: tuple[tuple[RepeatStage, tuple[GroupCandidates, ...]], ...]
    wirings: tuple[InputWiring, ...]
    fixed: Mapping[str, str]
    left_out: Mapping[str, str]
    network: Network


class GenericSpace:
    """A model space of layer choices, input choices, repeats, cells and value choices.

    ``weak``: the space is kept elsewhere, and this for as long as it lives."""

    def __init__(self, space: Any, weak: bool = False) -> None:
        self.title = type(space).__name__
        self.input: Shape | None = _HUB_INPUT if type(space).__module__.startswith("nni.nas.hub.") else None
        self.classes = 1  # found by running it
        self._get: Callable[[], Any] = ref(space) if weak else lambda: space
        self._skeleton: nn.Module | None = None
        self._memory = MeasurementCache()
        self._plans: dict[str, SamplePlan] = {}
        self._domains: Mapping[str, Domain] = {}

    def domains(self) -> Mapping[str, Domain]:
        if not self._domains:  # NNI walks through all modules
            fixed = {label: Domain() for label in _WITHOUT_CHOICE} if self.title in _SEARCHED else {}
            self._domains = {**fixed, **domains_of(self._get())}
        return self._domains

    def read(self, sample: Sample, size: NetworkSize, origin: Origin) -> Network:
        return replace(self.plan(sample, size.input).network, origin=origin)

    def write(self, network: Network, sample: Sample | None) -> Sample:
        if sample is None:
            raise NATError(f"{self.title} cannot represent a network from another format")
        plan = self.plan(sample, network.input)
        found = dict(sample)
        for group, candidates in plan.groups:
            cell = network.by_name.get(candidates.name)
            if cell is None or not cell.edges:
                raise NATError(f"{self.title} cannot represent this network: it has no cell '{candidates.name}'")
            found.update(zip(group.labels, candidates.values_of(cell.edges[0].op), strict=True))
        for stage, blocks in plan.stages:
            cell = network.by_name.get(stage.label)
            if cell is None or len(cell.edges) != len(blocks):
                raise NATError(
                    f"{self.title} cannot represent this network: it has no cell '{stage.label}' of its blocks"
                )
            kept = []
            for edge, candidates in zip(cell.edges, blocks, strict=True):
                if not candidates.is_dropped(edge.op):
                    kept.append(candidates.values_of(edge.op))
            for block, values in zip(stage.blocks, kept, strict=False):
                found.update(zip(block.labels, values, strict=True))
            found[stage.label] = len(kept)
        for wiring in plan.wirings:
            chosen = _chosen(wiring, network)
            if set(chosen) != set(wiring.chosen):
                found[wiring.label] = chosen
        return {label: list(value) if isinstance(value, list) else value for label, value in found.items()}

    def remarks(self, sample: Sample, input: Shape) -> SampleRemarks:
        plan = self.plan(sample, input)
        return SampleRemarks(plan.fixed, plan.left_out)

    def plan(self, sample: Sample, shape: Shape) -> SamplePlan:
        """NATError where the sample cannot be frozen or run on images of this shape."""
        key = json.dumps([write_sample(self.domains(), sample), shape])
        if key not in self._plans:
            if len(self._plans) >= _KEPT:
                self._plans.clear()
            self._plans[key] = self._find(sample, shape)
        return self._plans[key]

    def _find(self, sample: Sample, shape: Shape) -> SamplePlan:
        self._validate(sample)
        skeleton = self._meta()
        with torch.device("meta"):
            try:
                model: nn.Module = skeleton.freeze(sample)  # type: ignore[operator]
                image = torch.empty(1, *shape)
                recording = record(model, image)
            except Exception as error:  # a model of the user's may fail in any way
                raise NATError(
                    f"{self.title}: this sample does not run on images of {shape}: {type(error).__name__}: "
                    f"{str(error)[:300]}"
                ) from error
            measurer = Measurer(sample, recording, self.domains(), lambda other: self._run(other, image), self._memory)
            parts = find_groups(tree(skeleton, sample), measurer)
            offered = [(group, find_candidates(group, measurer, group.labels[0])) for group in parts.groups]
            blocks = [(stage, _blocks(stage, measurer)) for stage in parts.stages]
            settled = settle(offered, parts.wirings, model, image)
            items = [ChainCell.of_group(group, candidates, measurer) for group, candidates in settled.groups]
            items += [ChainCell.of_stage(stage, candidates, measurer) for stage, candidates in blocks]
            items += [ChainCell.of_wiring(wiring, measurer) for wiring in settled.wirings]
            network = build(items, model, recording, shape)
        fixed = {**_without_choice(offered, blocks), **parts.fixed, **dict.fromkeys(settled.held, NEEDED)}
        left_out = {text: why for text, why in self._memory.failed.items() if isinstance(text, str)}
        for candidates in (
            *(candidates for _, candidates in offered),
            *(candidates for _, stage in blocks for candidates in stage),
        ):
            left_out |= candidates.left_out
        return SamplePlan(tuple(settled.groups), tuple(blocks), tuple(settled.wirings), fixed, left_out, network)

    def _run(self, sample: Sample, image: torch.Tensor) -> Recording:
        model: nn.Module = self._meta().freeze(sample)  # type: ignore[operator]
        return record(model, image)

    def _meta(self) -> nn.Module:
        """A copy of the space without weights. NATError for weights that choices share."""
        if self._skeleton is None:
            _refuse_shared(self._get())
            values = {id(value): value for each in self.domains().values() for value in each.values}
            self._skeleton = copy.deepcopy(self._get(), values).to("meta")
        return self._skeleton

    def _validate(self, sample: Sample) -> None:
        try:
            error = self._get().check_contains(dict(sample))
        except AssertionError as problem:
            error = problem
        if error is not None:
            raise NATError(f"sample: {self.title} refuses it: {str(error)[:300]}")


_ALONE = "no other candidate is offered"
_SHORTEST = "it has as few blocks as it can have"
_BY_SKIPS = "its blocks have skips of their own, which leave them out"
_HUB_INPUT: Shape = (3, 224, 224)
_KEPT = 256
_SEARCHED = ("MobileNetV3Space", "ProxylessNAS")
_WITHOUT_CHOICE = ("s0_depth", "s7_depth")
"""Labels that samples of NNI's searched models have and those spaces have not; NNI passes over them, and so do we."""


def _blocks(stage: RepeatStage, measurer: Measurer) -> tuple[GroupCandidates, ...]:
    """The blocks of a stage. Those that may be missing can be left out: any of them if they are all alike, since the
    others then move up, else only the last."""
    found = [find_candidates(block, measurer, stage.label) for block in stage.blocks]
    optional = range(stage.least, len(found))
    alike = len({tuple(row[1:] for row in found[number].rows) for number in optional}) <= 1
    for number in optional if alike else optional[-1:]:
        found[number] = found[number].droppable()
    return tuple(found)


def _without_choice(
    groups: Sequence[tuple[LabelGroup, GroupCandidates]],
    stages: Sequence[tuple[RepeatStage, Sequence[GroupCandidates]]],
) -> dict[str, str]:
    """Labels that can be edited, but not from this sample, and why."""
    inside = [pair for stage, blocks in stages for pair in zip(stage.blocks, blocks, strict=True)]
    fixed = {
        label: _ALONE
        for group, each in (*groups, *inside)
        for place, label in enumerate(group.labels)
        if all(row.values[place] == each.rows[0].values[place] for row in each.rows)
    }
    for stage, blocks in stages:
        if not any(each.dropped for each in blocks):
            fixed[stage.label] = _SHORTEST if len(blocks) == stage.least else _BY_SKIPS
    return fixed


def _chosen(wiring: InputWiring, network: Network) -> list[int]:
    cell = network.by_name.get(wiring.label)
    ops = {} if cell is None else {edge.key: edge.op for edge in cell.edges}
    if any(wiring.edge_key(number) not in ops for number in range(wiring.count)):
        raise NATError(f"this network has no cell '{wiring.label}' of {wiring.count} inputs")
    return [number for number in range(wiring.count) if not ops[wiring.edge_key(number)].is_null]


def _refuse_shared(space: nn.Module) -> None:
    """NATError for weights that a choice shares with another part of the model: costs would not add up."""
    where: dict[int, list[str]] = {}
    for path, parameter in space.named_parameters(remove_duplicate=False):
        where.setdefault(id(parameter), []).append(path)
    choices = [path for path, module in space.named_modules() if path and getattr(module, "mutables", None)]
    for paths in where.values():
        inside = [any(path.startswith(f"{choice}.") for choice in choices) for path in paths]
        if len(paths) > 1 and any(inside):
            raise NATError(f"'{paths[0]}' and '{paths[1]}' are the same weights: choices that share are not supported")
