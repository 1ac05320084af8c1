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
"""Bytes of what is kept of all batches at most; what has no space is computed from the beginning each time."""
_CLOSE = 1e-3


class Passes(ABC):
    """Places are visited in the order in which they compute. Norms, and whatever lies before a place, do not change any
    more once it was reached."""

    @abstractmethod
    def reach(self, place: int) -> Iterator[Tensor]:
        """What goes into a place, batch by batch."""

    @abstractmethod
    def beyond(self, batch: int) -> object:
        """Compute a batch from the place that was reached last to the next one, or to the end."""


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
    found = [
        [step for step in graph.steps if step.op == "call_module" and f"{path}.".startswith(f"{step.target}.")]
        for path in paths
    ]
    if not all(len(each) == 1 for each in found) or len({each[0] for each in found}) < len(paths):
        return None
    x = batch[:2]
    values: Values = {}
    out, wanted = steps.advance(values, x), model(x)
    if not isinstance(out, Tensor) or not torch.allclose(out, wanted, _CLOSE, _CLOSE * float(wanted.abs().max())):
        return None
    return steps, [each[0] for each in found]


class KeptPasses(Passes):
    """What later steps need is kept of every batch, as far as there is space. ``places``: the steps that the modules
    at ``paths`` are, or are parts of."""

    def __init__(
        self, model: nn.Module, paths: Sequence[str], steps: Steps, places: Sequence[Step], batches: Sequence[Tensor]
    ) -> None:
        self._model, self._paths, self._steps, self._places, self._batches = model, paths, steps, places, batches
        self._states: list[tuple[Step | None, Values] | None] = [(None, {}) for _ in batches]
        self._sizes = [0] * len(batches)
        self._place = 0

    def reach(self, place: int) -> Iterator[Tensor]:
        self._place = place
        step, path = self._places[place], self._paths[place]
        for batch in range(len(self._batches)):
            given, run = Point(path, is_input=True), partial(self._steps.single, step, self._values(batch))
            yield found_in(self._model, [given], run)[given]

    def beyond(self, batch: int) -> object:
        values = {step: copied(value) for step, value in self._values(batch).items()}
        after = self._places[self._place + 1 : self._place + 2]
        return self._steps.advance(values, self._batches[batch], self._places[self._place], *after)

    def _values(self, batch: int) -> Values:
        """What is needed from the place on."""
        place = self._places[self._place]
        reached, values = self._states[batch] or (None, {})
        if reached is not place:
            self._steps.advance(values, self._batches[batch], reached, place)
            self._sizes[batch] = sum(each.nbytes for each in values.values() if isinstance(each, Tensor))
            self._states[batch] = (place, values)
            if sum(self._sizes) > KEPT:
                self._sizes[batch], self._states[batch] = 0, None
        return values


class FromTheStart(Passes):
    """For a model that no graph is known of: all that lies before a place is computed again."""

    def __init__(self, model: nn.Module, batches: Sequence[Tensor], paths: Sequence[str]) -> None:
        self._model, self._batches = model, batches
        self._points = [Point(path, is_input=True) for path in paths]
        self._place = 0

    def reach(self, place: int) -> Iterator[Tensor]:
        self._place = place
        for batch in self._batches:
            yield probe(self._model, [self._points[place]], batch)[self._points[place]]

    def beyond(self, batch: int) -> object:
        ends = self._points[self._place + 1 : self._place + 2]
        return probe(self._model, ends, self._batches[batch]) if ends else self._model(self._batches[batch])
