"""Weights of what reads a cut, for each change by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import torch
from torch import Tensor, nn

from nat_plugin.advising.session import Change
from nat_plugin.fitting.sampling import MAX_BYTES
from nat_timm.advising.effects import output
from nat_timm.documents.edits import Edit
from nat_timm.fitting.cuts import RECORDED, cuts_in, readers_of, starts_of
from nat_timm.fitting.layers import DenseLayer, as_map, dense, set_weights
from nat_timm.fitting.passing import fitted_in_passing
from nat_timm.fitting.probing import Point, calls, found_in
from nat_timm.fitting.readers import ReaderSums, order_channels, sums_of
from nat_timm.reading.running import Cut, Steps
from nat_timm.reading.units import ModelUnit
from nat_timm.surgery.hidden import channels_read

AT_ONCE = 64
"""Pictures at most on which a change is fitted whose reader does not just read fewer of the same channels."""
_SAME = 1e-4

Weights: TypeAlias = Mapping[str, tuple[Tensor, Tensor]]
"""Of dense layers by their paths, with biases."""


@dataclass(frozen=True, eq=False)
class Cutting:
    """A change that cuts something: what it does, and the model that it makes, or the part of it with the unit."""

    change: Change
    unit: ModelUnit
    edits: frozenset[Edit]
    made: Callable[[], nn.Module]


class Refitting:
    """Of a model in evaluation mode, at which is noted which hidden channels are to stay."""

    @torch.no_grad()
    def __init__(
        self, model: nn.Module, steps: Steps, batches: Sequence[Tensor], seed: int, edits: Iterable[Edit]
    ) -> None:
        """``edits``: all that cuttings may do."""
        self._model, self._steps, self._batches, self._seed = model, steps, batches, seed
        readers = {edit.at[-1] for edit in edits if edit.op == "hidden"}
        self._sums: dict[str, ReaderSums] = {}
        size = 0
        for path, sums in sums_of(model, readers, batches, seed):
            order_channels(model, path, sums)
            size += sums.nbytes
            if size <= MAX_BYTES:  # what has no space is fitted in passing
                self._sums[path] = sums

    @torch.no_grad()
    def weights(self, cuttings: Sequence[Cutting]) -> dict[Change, Weights]:
        """By change what each of its readers needs."""
        kinds = {type(self._model.get_submodule(path)) for each in cuttings for path in starts_of(each.edits)}
        order = calls(self._model, self._batches[0][:1], (*RECORDED, *kinds))
        by_unit: dict[ModelUnit, list[tuple[Cutting, list[str]]]] = {}
        for each in cuttings:
            paths = sorted(readers_of(self._model, each.edits, order, norms=True))
            if paths:
                by_unit.setdefault(each.unit, []).append((each, paths))
        found: dict[Change, Weights] = {}
        x = torch.cat(list(self._batches))[:AT_ONCE].contiguous(memory_format=torch.channels_last)
        for cut in self._steps.cuts(x, list(by_unit)):
            wanted = self._wanted(cut, {path for _, paths in by_unit[cut.unit] for path in paths})
            for each, paths in by_unit[cut.unit]:
                found[each.change] = self._closed(cut, each, paths) or self._in_passing(cut, each, paths, wanted)
        return found

    def _wanted(self, cut: Cut, paths: set[str]) -> dict[str, Tensor]:
        points = {Point(path): path for path in paths}
        found = found_in(self._model, list(points), partial(output, self._steps, cut, self._model))
        return {points[point]: value for point, value in found.items()}

    def _closed(self, cut: Cut, each: Cutting, paths: Sequence[str]) -> Weights | None:
        """Where all that the change does is that its reader gets fewer of the same channels."""
        (path, *others), made = paths, each.made()
        if others or path not in self._sums or cuts_in(each.edits) != ["hidden"]:
            return None
        channels = channels_read(made.get_submodule(path))
        assert channels is not None
        some = Cut(cut.unit, cut.values, {step: _two(value) for step, value in cut.read.items()})
        before, after = (self._read(some, owner, path) for owner in (self._model, made))
        if not torch.allclose(after, before[:, channels], _SAME, _SAME * float(before.abs().max())):
            return None
        solution = self._sums[path].of(channels)
        return {path: (solution.weights[0], solution.bias)}

    def _read(self, cut: Cut, owner: nn.Module, path: str) -> Tensor:
        point = Point(path, is_input=True)
        return as_map(
            owner.get_submodule(path), found_in(owner, [point], partial(output, self._steps, cut, owner))[point]
        )

    def _in_passing(self, cut: Cut, each: Cutting, paths: Sequence[str], wanted: Mapping[str, Tensor]) -> Weights:
        made = each.made()
        fitted_in_passing(
            made, {path: wanted[path] for path in paths}, partial(output, self._steps, cut, made), self._seed
        )
        return {path: _weights(dense(made.get_submodule(path))) for path in paths}


def install(owner: nn.Module, weights: Weights) -> None:
    for path, (weight, bias) in weights.items():
        set_weights(dense(owner.get_submodule(path)), weight, bias)


def _two(value: object) -> object:
    return value[:2] if isinstance(value, Tensor) else value


def _weights(layer: DenseLayer) -> tuple[Tensor, Tensor]:
    weight: Tensor = layer.weight.detach()
    return weight, weight.new_zeros(len(weight)) if layer.bias is None else layer.bias.detach()
