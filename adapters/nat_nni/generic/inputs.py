"""Which inputs an ``InputChoice`` or a ``Cell`` can take so that nothing else in the model costs anything else."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from typing import Any

from nni.nas.nn.pytorch import Cell
from nni.nas.nn.pytorch.cell import create_cell_op_candidates
from nni.nas.space import model_context

from nat_nni.generic.measurer import MAX_COMBINATIONS, Measurer
from nat_nni.generic.measuring import MeasuredModule, ModuleCall, candidates_of, measure, signature
from nat_nni.generic.tree import Spot

Inputs = list[int]


@dataclass(frozen=True, eq=False)
class InputWiring:
    """An input choice of any number of inputs of one shape: each is an edge that is there or not.

    ``empty``: none of them will do too. ``free``: whether the choice may change.
    """

    label: str
    spots: tuple[Spot, ...]
    count: int
    chosen: tuple[int, ...]
    empty: bool
    free: bool = True

    @property
    def options(self) -> list[Inputs]:
        """The smallest choices: what depends on each of them depends on any."""
        return [[number] for number in range(self.count)] + ([[]] if self.empty else [])

    def edge_key(self, number: int) -> str:
        return f"{self.label}:{number}"


@dataclass(frozen=True)
class _InputPlace:
    """The input choice of one op in a cell of NNI."""

    cell: Spot
    node: int
    op: int

    @property
    def op_path(self) -> tuple[str, ...]:
        cell: Any = self.cell.module
        return "ops", str(self.node - cell.num_predecessors), str(self.op)


def is_rebuilt(spot: Spot) -> bool:
    """Whether a module of the user's builds the input choice anew with all around it, in whatever way."""
    return spot.owner is not None and not isinstance(spot.owner.module, Cell)


def input_values(label: str, spots: Sequence[Spot], measurer: Measurer) -> list[Inputs]:
    """What the label can be, the sample's own value first; only that where shapes or costs would change."""
    now: Inputs = measurer.sample[label]
    if any(spot.path not in measurer.recording.calls for spot in spots):
        return [now]
    places = [_place(spot) for spot in spots]
    found = []
    for each in _choices(label, now, measurer):
        if all(
            measurer.keeps_shapes(spot, {label: each})
            if place is None
            else _costs_the_same(place, now[0], each[0], measurer)
            for spot, place in zip(spots, places, strict=True)
        ):
            found.append(each)
    return [now, *found]


def find_wiring(label: str, spots: Sequence[Spot], measurer: Measurer) -> InputWiring | None:
    """The wiring of a label whose choice takes any number of inputs, all of one shape, and adds them up."""
    if measurer.domains[label].count is not None:
        return None
    for spot in spots:
        module: Any = spot.module
        calls = measurer.recording.calls.get(spot.path, ())
        if module.reduction not in ("sum", "mean") or not calls:
            return None
        if any(not _alike(candidates_of(call.args, call.kwargs), module.n_candidates) for call in calls):
            return None
    now, count = measurer.sample[label], len(measurer.domains[label].values)
    every = list(range(count))
    empty = measurer.runs_alike({label: [] if now else every}, {spot.path for spot in spots})
    if not empty and (not now or count == 1):
        return None
    return InputWiring(label, tuple(spots), count, tuple(now), empty)


def _choices(label: str, now: Inputs, measurer: Measurer) -> list[Inputs]:
    """Other values: all, or where those are too many, with one input more, less, or exchanged."""
    domain = measurer.domains[label]
    every = [int(value) for value in domain.values]
    sizes = range(1, len(every) + 1) if domain.count is None else [domain.count]
    if sum(math.comb(len(every), size) for size in sizes) <= MAX_COMBINATIONS:
        choices = [list(chosen) for size in sizes for chosen in combinations(every, size)]
    else:
        others = [index for index in every if index not in now]
        choices = [sorted([*(set(now) - {old}), new]) for old in now for new in others]
        if domain.count is None:
            choices += [sorted([*now, new]) for new in others]
            choices += [sorted(set(now) - {old}) for old in now if len(now) > 1]
    return [choice for choice in choices if set(choice) != set(now)]


def _place(spot: Spot) -> _InputPlace | None:
    """Where in a cell a spot stands, if it is the input choice of one."""
    around = spot.parent.parent.parent if spot.parent is not None and spot.parent.parent is not None else None
    if around is None or not isinstance(around.module, Cell):
        return None
    cell: Any = around.module
    for row, choices in enumerate(cell.inputs):
        for op, choice in enumerate(choices):
            if choice is spot.module:
                return _InputPlace(around, row + cell.num_predecessors, op)
    return None


def _costs_the_same(place: _InputPlace, now: int, other: int, measurer: Measurer) -> bool:
    """Whether the ops that can stand behind an input are the same and cost the same behind another, and the cell
    gives as much. In a cell of loose ends only predecessors can take each other's place."""
    cell: Any = place.cell.module
    if cell.merge_op == "loose_end" and max(now, other) >= cell.num_predecessors:
        return False
    calls = measurer.recording.calls[_join(place.cell.path, "inputs", *place.op_path[1:])]
    if cell.op_candidates_factory is None:
        return all(signature(call.args[0][now]) == signature(call.args[0][other]) for call in calls)
    own = {f"{cell.label}/{kind}_{node}_{op}" for kind in ("op", "input") for node, op in _numbers(cell)}
    if measurer.labels(place.cell) - own:
        return False
    return _ops_behind(place, now, calls, measurer) == _ops_behind(place, other, calls, measurer)


def _ops_behind(
    place: _InputPlace, source: int, calls: Sequence[ModuleCall], measurer: Measurer
) -> Mapping[str, MeasuredModule | None]:
    """What the candidates that a factory makes for an input cost on it."""
    inputs = [replace(call, args=(call.args[0][source],), kwargs={}) for call in calls]
    known = (place.cell.path, place.node, place.op, source, tuple(signature(call.args) for call in inputs))
    if known not in measurer.memory.behind:
        cell: Any = place.cell.module
        with model_context(measurer.sample):
            made, _ = create_cell_op_candidates(cell.op_candidates_factory, place.node, place.op, source)
        ops = made if isinstance(made, Mapping) else {str(number): each for number, each in enumerate(made)}
        measurer.memory.behind[known] = {
            name: measurer.attempt(f"{place.cell.path}: {name} behind input {source}", partial(measure, op, inputs))
            for name, op in ops.items()
        }
    return measurer.memory.behind[known]


def _numbers(cell: Any) -> list[tuple[int, int]]:
    first = cell.num_predecessors
    return [(node, op) for node in range(first, first + cell.num_nodes) for op in range(cell.num_ops_per_node)]


def _alike(inputs: Sequence[Any], count: int) -> bool:
    return len(inputs) >= count and len({signature(each) for each in inputs[:count]}) == 1


def _join(*names: str) -> str:
    return ".".join(name for name in names if name)
