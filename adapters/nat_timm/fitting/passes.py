"""A model computed for batches of pictures from one place to the next, in which weights change at each place."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from nat_plugin import NATError
from nat_timm.fitting.probing import Point, found_in, probe
from nat_timm.reading.running import Steps, Values, copied
from nat_timm.reading.trace import Step, to_meta, trace
from nat_timm.surgery.fitted import FittedOp

KEPT = 2**30
"""Bytes of what is kept of all batches at most; what has no space is computed from where there was some."""
_CLOSE = 1e-3


class Passes(ABC):
    """Places are visited in the order in which they compute. What lies before a place does not change any more once it
    was reached."""

    @abstractmethod
    def reach(self, place: int) -> Iterator[Tensor]:
        """What goes into a place, batch by batch; who gets it does not write over it."""


def passes_of(model: nn.Module, batches: Sequence[Tensor], paths: Sequence[str]) -> Passes:
    """``paths``: of the modules at the places."""
    steps = _steps_of(model, batches[0], paths)
    return FromTheStart(model, batches, paths) if steps is None else KeptPasses(model, paths, *steps, batches)


def _steps_of(model: nn.Module, batch: Tensor, paths: Sequence[str]) -> tuple[Steps, list[Step]] | None:
    """None where the graph of the model does not have the places, or computes something else than the model."""
    shape = (batch.shape[1], batch.shape[2], batch.shape[3])
    try:
        graph = trace(to_meta(model), shape, type(model).__name__, (FittedOp,))
        steps = Steps(graph, model)
    except NATError:
        return None
    called = [step for step in graph.steps if step.op == "call_module"]
    found = [next((step for step in called if f"{path}.".startswith(f"{step.target}.")), None) for path in paths]
    places = [step for step in found if step is not None]
    if len(places) < len(paths) or places != sorted(places, key=lambda step: graph.order[step]):
        return None
    x = batch[:2]
    values: Values = {}
    out, wanted = steps.advance(values, x), model(x)
    if not isinstance(out, Tensor) or not torch.allclose(out, wanted, _CLOSE, _CLOSE * float(wanted.abs().max())):
        return None
    return steps, places


class KeptPasses(Passes):
    """What later steps need is kept of every batch, as far as there is space. ``places``: the steps that the modules
    at ``paths`` are, or are parts of."""

    def __init__(
        self, model: nn.Module, paths: Sequence[str], steps: Steps, places: Sequence[Step], batches: Sequence[Tensor]
    ) -> None:
        self._model, self._paths, self._steps, self._places, self._batches = model, paths, steps, places, batches
        self._states: list[tuple[Step | None, Values]] = [(None, {}) for _ in batches]
        self._sizes = [0] * len(batches)

    def reach(self, place: int) -> Iterator[Tensor]:
        step, path = self._places[place], self._paths[place]
        for batch in range(len(self._batches)):
            values = self._values(batch, step)
            given = step.args[0] if step.args else None
            if step.target == path and isinstance(given, Step):
                yield values[given]
            else:
                point = Point(path, is_input=True)
                yield found_in(self._model, [point], partial(self._steps.single, step, values))[point]

    def _values(self, batch: int, step: Step) -> Values:
        """What is needed from a step on."""
        reached, values = self._states[batch]
        if reached is step:
            return values
        size = self._steps.needs(step) * len(self._batches[batch]) * self._batches[batch].element_size()
        has_space = sum(self._sizes) - self._sizes[batch] + size <= KEPT
        if not has_space:  # what follows may write over it
            values = {each: copied(value) for each, value in values.items()}
        self._steps.advance(values, self._batches[batch], reached, step)
        if has_space:
            self._states[batch], self._sizes[batch] = (step, values), size
        return values


class FromTheStart(Passes):
    """For a model that no graph is known of: all that lies before a place is computed again."""

    def __init__(self, model: nn.Module, batches: Sequence[Tensor], paths: Sequence[str]) -> None:
        self._model, self._batches = model, batches
        self._points = [Point(path, is_input=True) for path in paths]

    def reach(self, place: int) -> Iterator[Tensor]:
        for batch in self._batches:
            yield probe(self._model, [self._points[place]], batch)[self._points[place]]
