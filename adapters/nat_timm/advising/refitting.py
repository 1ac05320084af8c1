"""Weights of what reads a cut, for each change by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import torch
from torch import Tensor, nn

from nat_plugin.advising import Change
from nat_plugin.fitting import MAX_SUM_BYTES
from nat_timm.advising.effects import output
from nat_timm.documents.edits import Edit
from nat_timm.fitting.cuts import RECORDED, readers_of, starts_of
from nat_timm.fitting.layers import DenseLayer, as_map, dense, set_weights
from nat_timm.fitting.passing import fitted_in_passing
from nat_timm.fitting.probing import Point, calls, found_in
from nat_timm.fitting.readers import ReaderSums, order_channels, sums_between, sums_of
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
            if size <= MAX_SUM_BYTES:  # what has no space is fitted in passing
                self._sums[path] = sums

    @torch.no_grad()
    def weights(self, cuttings: Sequence[Cutting]) -> dict[Change, Weights]:
        """By change what each of its readers needs."""
        kinds = {type(self._model.get_submodule(path)) for cutting in cuttings for path in starts_of(cutting.edits)}
        order = calls(self._model, self._batches[0][:1], (*RECORDED, *kinds))
        by_unit: dict[ModelUnit, list[tuple[Cutting, list[str]]]] = {}
        for cutting in cuttings:
            readers = readers_of(self._model, cutting.edits, order, norms=True)
            paths = sorted(path for path in readers if _is_of(cutting.unit, path))
            if paths:
                by_unit.setdefault(cutting.unit, []).append((cutting, paths))
        weights_of: dict[Change, Weights] = {}
        x = torch.cat(list(self._batches))[:AT_ONCE].contiguous(memory_format=torch.channels_last)
        for cut in self._steps.cuts(x, list(by_unit)):
            here = by_unit[cut.unit]
            wanted = self._wanted(cut, {path for _, paths in here for path in paths})
            sums = _ChannelSums(self, cut, wanted, {cutting.edits: cutting for cutting, _ in here})
            for cutting, paths in here:
                weights_of[cutting.change] = sums.weights(cutting, paths) or self._in_passing(
                    cut, cutting, paths, wanted
                )
        return weights_of

    def _wanted(self, cut: Cut, paths: set[str]) -> dict[str, Tensor]:
        points = {Point(path): path for path in paths}
        found = found_in(self._model, list(points), partial(output, self._steps, cut, self._model))
        return {points[point]: value for point, value in found.items()}

    def own(self, path: str) -> tuple[nn.Module, ReaderSums | None]:
        """The model, and what is known of a reader in it."""
        return self._model, self._sums.get(path)

    def read(self, cut: Cut, owner: nn.Module, path: str) -> Tensor:
        """What goes into a reader."""
        point = Point(path, is_input=True)
        return found_in(owner, [point], partial(output, self._steps, cut, owner))[point]

    @property
    def seed(self) -> int:
        return self._seed

    def _in_passing(self, cut: Cut, each: Cutting, paths: Sequence[str], wanted: Mapping[str, Tensor]) -> Weights:
        made = each.made()
        fitted_in_passing(
            made, {path: wanted[path] for path in paths}, partial(output, self._steps, cut, made), self._seed
        )
        return {path: _weights(dense(made.get_submodule(path))) for path in paths}


class _ChannelSums:
    """Of a unit: sums of what readers get where all but the number of hidden channels is as a change says. With fewer
    of the same channels parts of these are all that is needed."""

    def __init__(
        self, refitting: Refitting, cut: Cut, wanted: Mapping[str, Tensor], made: Mapping[frozenset[Edit], Cutting]
    ) -> None:
        self._refitting, self._cut, self._wanted, self._made = refitting, cut, wanted, made
        self._few = Cut(cut.unit, cut.values, {step: _two(value) for step, value in cut.read.items()})
        self._sums: dict[tuple[frozenset[Edit], str], tuple[ReaderSums, Tensor] | None] = {}

    def weights(self, each: Cutting, paths: Sequence[str]) -> Weights | None:
        """None where a change does more, or has several readers."""
        path, *others = paths
        hidden = frozenset(edit for edit in each.edits if edit.op == "hidden")
        if others or any(edit.at[-1] != path for edit in hidden):
            return None
        found = self._of(each.edits - hidden, path)
        if found is None:
            return None
        sums, before = found
        channels = torch.arange(before.shape[1], device=before.device)
        if hidden:
            made = each.made()
            kept, after = channels_read(made.get_submodule(path)), self._read(self._few, made, path)
            assert kept is not None
            channels = kept
            if not torch.allclose(after, before[:, channels], _SAME, _SAME * float(before.abs().max())):
                return None
        solution = sums.of(channels)
        return {path: (solution.weights[0], solution.bias)}

    def _of(self, edits: frozenset[Edit], path: str) -> tuple[ReaderSums, Tensor] | None:
        """The sums with these edits, and what the reader gets of a few pictures."""
        if (edits, path) not in self._sums:
            self._sums[edits, path] = self._summed(edits, path)
        return self._sums[edits, path]

    def _summed(self, edits: frozenset[Edit], path: str) -> tuple[ReaderSums, Tensor] | None:
        if edits and edits not in self._made:
            return None
        owner, sums = (self._made[edits].made(), None) if edits else self._refitting.own(path)
        if edits:
            layer = dense(owner.get_submodule(path))
            given = self._refitting.read(self._cut, owner, path)
            sums = sums_between(layer, given, self._wanted[path], self._refitting.seed)
        return None if sums is None else (sums, self._read(self._few, owner, path))

    def _read(self, cut: Cut, owner: nn.Module, path: str) -> Tensor:
        return as_map(owner.get_submodule(path), self._refitting.read(cut, owner, path))


def _is_of(unit: ModelUnit, path: str) -> bool:
    """Whether a unit has a layer: what reads a layer that stands by itself is another unit."""
    return any(str(step.target) == path or path.startswith(f"{step.target}.") for step in unit.steps)


def install(owner: nn.Module, weights: Weights) -> None:
    for path, (weight, bias) in weights.items():
        set_weights(dense(owner.get_submodule(path)), weight, bias)


def _two(value: object) -> object:
    return value[:2] if isinstance(value, Tensor) else value


def _weights(layer: DenseLayer) -> tuple[Tensor, Tensor]:
    weight: Tensor = layer.weight.detach()
    return weight, weight.new_zeros(len(weight)) if layer.bias is None else layer.bias.detach()
