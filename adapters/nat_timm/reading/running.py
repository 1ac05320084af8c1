"""A model computed step by step along its graph, so that of a change only what comes after it is computed anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from operator import attrgetter
from typing import Any, TypeAlias

import torch
from torch import Tensor, fx, nn

from nat_plugin import NATError
from nat_timm.reading.trace import Step, Trace
from nat_timm.reading.units import ModelUnit

Values: TypeAlias = dict[Step, Any]


@dataclass(frozen=True, eq=False)
class Cut:
    """Where a unit has computed: the values that later steps need, and those that it read itself."""

    unit: ModelUnit
    values: Values
    read: Values


class Steps:
    """The steps of a model's graph. ``trace`` is of this model; modules are taken from it, or from a moved copy.
    NATError where the graph has values that the model does not have."""

    def __init__(self, trace: Trace, model: nn.Module) -> None:
        self._trace, self._model = trace, model
        for step in trace.steps:
            if step.op == "get_attr":
                try:
                    attrgetter(str(step.target))(model)
                except AttributeError:
                    raise NATError("the graph that torch.fx traces has values that the model does not have") from None
        last = {each: step for step in trace.steps for each in step.all_input_nodes}
        self._done: dict[Step, list[Step]] = {}  # what nothing needs any more, once a step has computed
        for step, user in last.items():
            self._done.setdefault(user, []).append(step)

    @torch.no_grad()
    def cuts(self, x: Tensor, units: Sequence[ModelUnit]) -> Iterator[Cut]:
        """Compute the model for pictures ``x``, stopping behind each of the units."""
        ends = {unit.output: unit for unit in units}
        held = {step: unit for unit in units for step in unit.reads}
        reads: dict[ModelUnit, Values] = {}
        values: Values = {}
        for step in self._trace.steps:
            if step.op == "output":
                return
            values[step] = x if step.op == "placeholder" else self._computed(step, values, self._model)
            if step in held:
                for unit in units:
                    if step in unit.reads:
                        reads.setdefault(unit, {})[step] = copied(values[step])
            for each in self._done.get(step, ()):
                del values[each]
            if step in ends:
                unit = ends[step]
                yield Cut(unit, values, reads.pop(unit, {}))

    @torch.no_grad()
    def advance(self, values: Values, x: Tensor, start: Step | None = None, stop: Step | None = None) -> Any:
        """Compute the steps from ``start`` (left out: from the first, for pictures ``x``) to before ``stop`` into
        ``values``, of which those stay that later steps need. Without ``stop`` what the model gives."""
        first = 0 if start is None else self._trace.order[start]
        for step in self._trace.steps[first:]:
            if step is stop:
                return None
            if step.op == "output":
                return fx.node.map_arg(step.args[0], lambda node: values[node])
            values[step] = x if step.op == "placeholder" else self._computed(step, values, self._model)
            for each in self._done.get(step, ()):
                del values[each]
        return None

    def needs(self, step: Step) -> int:
        """How many values of a picture are needed from a step on."""
        order = self._trace.order
        last = {each: user for user, done in self._done.items() for each in done}
        alive = (each for each, user in last.items() if order[each] < order[step] <= order[user])
        return sum(prod(each.meta["shape"] or ()) for each in alive if each.meta.get("shape"))

    def single(self, step: Step, values: Values) -> Any:
        """What a step gives; its inputs stay."""
        return self._computed(step, {each: copied(values[each]) for each in step.all_input_nodes}, self._model)

    @torch.no_grad()
    def inside(self, cut: Cut, moved: nn.Module) -> Any:
        """What the unit gives with the modules of a moved model."""
        values = {step: copied(value) for step, value in cut.read.items()}
        for step in cut.unit.steps:
            values[step] = self._computed(step, values, moved)
        return values[cut.unit.output]

    @torch.no_grad()
    def rest(self, cut: Cut, value: Any) -> Any:
        """The output of the model where the unit gives ``value``."""
        values = {step: copied(each) for step, each in cut.values.items()}
        values[cut.unit.output] = value
        for step in self._trace.steps[self._trace.order[cut.unit.output] + 1 :]:
            if step.op == "output":
                found: Any = fx.node.map_arg(step.args[0], lambda node: values[node])
                return found
            values[step] = self._computed(step, values, self._model)
            for each in self._done.get(step, ()):
                values.pop(each, None)
        return value

    @staticmethod
    def _computed(step: Step, values: Values, owner: nn.Module) -> Any:
        args = fx.node.map_arg(step.args, lambda node: values[node])
        kwargs = fx.node.map_arg(step.kwargs, lambda node: values[node])
        target = step.target
        if step.op == "call_function":
            assert callable(target)
            return target(*args, **kwargs)
        if step.op == "call_method":
            return getattr(args[0], str(target))(*args[1:], **kwargs)
        found: Any = attrgetter(str(target))(owner)
        return found(*args, **kwargs) if step.op == "call_module" else found


def copied(value: Any) -> Any:
    """What follows may write over a value in place."""
    return value.clone() if isinstance(value, Tensor) else value
