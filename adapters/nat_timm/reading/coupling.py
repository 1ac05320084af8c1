"""Groups of channels that can only become fewer together: what makes them, what has as many, and what reads them.

In the traced graph every dense layer makes a run of channels. Sums make runs one, concatenations put them side by
side; norms, activations, pools, depthwise convolutions and squeeze-excites have as many out as in. The tables say which
kind of layer does what; the channels of all that stands in none of them are fixed, and it is said by what.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from nat_timm.documents.uses import Side, Use
from nat_timm.reading.layouts import ChannelLayout, Runs, followed
from nat_timm.reading.parts import norm_part, squeeze_part
from nat_timm.reading.trace import Step, Trace
from nat_timm.reading.units import is_activation, is_norm


@dataclass(frozen=True, eq=False)
class ChannelGroup:
    """Channels that go together, by all layers that have them, in order of execution. ``unit``: as many stay or go at
    once; ``fixed``: why their number cannot change, if so."""

    number: int
    uses: tuple[Use, ...]
    size: int
    unit: int
    fixed: str | None

    @property
    def name(self) -> str:
        """The path of the first layer that makes them."""
        return self.uses[0].path


@dataclass(frozen=True, eq=False)
class Coupling:
    """The groups of a model, and of every layer which groups it reads and which it makes, as (group, channels)."""

    groups: tuple[ChannelGroup, ...]
    reads: dict[str, tuple[tuple[int, int], ...]]
    makes: dict[str, tuple[tuple[int, int], ...]]

    @property
    def free(self) -> tuple[ChannelGroup, ...]:
        """Those whose number of channels can change."""
        return tuple(group for group in self.groups if group.fixed is None)


def coupling(trace: Trace) -> Coupling:
    """What of the channels of a model goes together."""
    return _CouplingReader(trace).read()


_ELEMENTWISE = frozenset({
    operator.add, operator.iadd, operator.sub, operator.isub, operator.mul, operator.imul, operator.truediv,
    torch.add, torch.sub, torch.mul, torch.div, torch.maximum, torch.minimum, torch.max, torch.addcmul,
    "add", "add_", "sub", "sub_", "mul", "mul_", "div", "div_", "maximum",
})  # fmt: skip
"""Functions and methods whose operands have the same channels."""
_PASSING = frozenset({
    functional.relu, functional.relu6, functional.silu, functional.gelu, functional.hardtanh, functional.hardswish,
    functional.hardsigmoid, functional.leaky_relu, functional.elu, functional.mish, functional.dropout,
    functional.avg_pool2d, functional.max_pool2d, functional.adaptive_avg_pool2d, functional.adaptive_max_pool2d,
    functional.interpolate, torch.relu, torch.sigmoid, torch.tanh, torch.clone, torch.flatten, torch.square,
    "relu", "relu_", "sigmoid", "tanh", "clone", "contiguous", "flatten", "float", "detach", "clamp", "clamp_",
    "square",
})  # fmt: skip
"""Those that give the channels of their one operand."""
_PASSING_MODULES = (
    nn.Identity, nn.Dropout, nn.Dropout2d, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d,
    nn.Upsample, nn.Flatten, nn.ZeroPad2d,
)  # fmt: skip
_PASSING_NAMES = frozenset(
    ["DropPath", "DropBlock2d", "SelectAdaptivePool2d", "EcaModule", "CecaModule", "FastAdaptiveAvgPool"]
)
_FOLLOWING_NAMES = frozenset(["GlobalResponseNorm", "LayerScale2d", "LayerScale", "EffectiveSEModule"])
"""Further kinds of modules with as many channels out as in, whose weights are by channel."""
SEQUENCES = {"ConvMlp": ("fc1", "fc2")}
"""Modules that cannot be traced, whose convolutions read one another in this order."""
_RESHAPES = frozenset(["reshape", "view", "unsqueeze", "squeeze", torch.reshape, torch.unsqueeze, torch.squeeze])


@dataclass
class _CouplingReader:
    trace: Trace
    runs: Runs = field(default_factory=Runs)
    uses: list[tuple[int, Use]] = field(default_factory=list)
    layouts: dict[Step, ChannelLayout] = field(default_factory=dict)
    reads: dict[str, ChannelLayout] = field(default_factory=dict)
    makes: dict[str, ChannelLayout] = field(default_factory=dict)

    def read(self) -> Coupling:
        for step in self.trace.steps:
            made = self._step(step)
            if made is not None:
                self.layouts[step] = made
        found: dict[int, list[Use]] = {}
        for run, use in self.uses:
            uses = found.setdefault(self.runs.root(run), [])
            if use not in uses:
                uses.append(use)
        groups = []
        for root, uses in found.items():
            why = self.runs.fixed[root]
            if why is None and not any(use.side == "in" for use in uses):
                why = "nothing that is understood reads them"
            groups.append(ChannelGroup(root, tuple(uses), self.runs.sizes[root], self.runs.units[root], why))
        return Coupling(tuple(groups), self._named(self.reads), self._named(self.makes))

    def _named(self, layouts: dict[str, ChannelLayout]) -> dict[str, tuple[tuple[int, int], ...]]:
        return {
            path: tuple((self.runs.root(run), self.runs.sizes[run]) for run in layout.runs)
            for path, layout in layouts.items()
        }

    def _step(self, step: Step) -> ChannelLayout | None:
        if step.op == "placeholder":
            return ChannelLayout(1, (self.runs.new(self.trace.input[0], "they are those of the images"),))
        if step.op == "output":
            self._fix(step.all_input_nodes, "they are the output")
            return None
        if step.op == "get_attr":
            return self._parameter(step)
        if step.op == "call_module":
            return self._module(step)
        return self._function(step)

    def _fix(self, steps: Iterable[Step], why: str) -> None:
        for step in steps:
            if step in self.layouts:
                self.runs.fix(self.layouts[step].runs, why)

    def _unknown(self, step: Step, what: str) -> ChannelLayout | None:
        """No layout: what is read is fixed, what is made is not known."""
        self._fix(step.all_input_nodes, f"{what} reads them")
        return None

    def _passed(self, step: Step, source: Step) -> ChannelLayout | None:
        """The layout of ``source`` where ``step`` has it."""
        layout, shape = self.layouts.get(source), step.meta["shape"]
        if layout is None:
            return None
        axis = None if shape is None else followed(layout.axis, source.meta["shape"], shape)
        if axis is None:
            self._unknown(step, f"'{step.name}', which mixes them with other axes,")
            return None
        return ChannelLayout(axis, layout.runs)

    # Modules

    def _module(self, step: Step) -> ChannelLayout | None:
        module, path = self.trace.module(step), str(step.target)
        kind = type(module).__name__
        if len(step.all_input_nodes) != 1:
            return self._unknown(step, f"a {kind} of several inputs")
        source = step.all_input_nodes[0]
        if isinstance(module, _PASSING_MODULES) or kind in _PASSING_NAMES or _is_plain_activation(module):
            return self._passed(step, source)
        if isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and module.weight.dim() == 4):
            axis = len(step.meta["shape"]) - 1 if isinstance(module, nn.Linear) else 1
            return self._weighted(module, path, source, axis)
        if kind in SEQUENCES:
            layout = self.layouts.get(source)
            for name in SEQUENCES[kind]:
                layout = self._dense(getattr(module, name), f"{path}.{name}", layout, 1)
            return layout
        if module is not None and self._follows(module, source):
            return self._follow(path, source)
        return self._unknown(step, f"a {kind}")

    def _follows(self, module: nn.Module, source: Step) -> bool:
        """Whether a module has as many channels out as in, with weights by channel."""
        layout = self.layouts.get(source)
        if layout is None:
            return False
        channels = self.runs.size(layout)
        is_last = layout.axis == len(source.meta["shape"]) - 1
        if isinstance(module, nn.LayerNorm) and "2d" not in type(module).__name__ and not is_last:
            return False
        if is_norm(module) or is_activation(module):
            return norm_part(module, channels) is not None and all(
                each.numel() == channels for each in module.parameters()
            )
        return type(module).__name__ in _FOLLOWING_NAMES or squeeze_part(module, channels) is not None

    def _follow(self, path: str, source: Step) -> ChannelLayout:
        layout = self.layouts[source]
        self._use(path, "both", layout)
        return layout

    def _weighted(self, module: nn.Module, path: str, source: Step, axis: int) -> ChannelLayout | None:
        layout = self.layouts.get(source)
        if layout is not None and layout.axis != axis:
            self.runs.fix(layout.runs, f"'{path}' reads them along another axis")
            layout = None
        if getattr(module, "groups", 1) == 1:
            return self._dense(module, path, layout, axis)
        if layout is None:
            return None
        assert isinstance(module.weight, nn.Parameter)
        width = module.weight.shape[1]
        if module.in_channels != module.out_channels or any(self.runs.sizes[run] % width for run in layout.runs):
            self.runs.fix(layout.runs, f"the grouped convolution '{path}' reads them")
            return None
        self.runs.together(layout.runs, width)
        self._use(path, "both", layout)
        return layout

    def _dense(self, module: Any, path: str, layout: ChannelLayout | None, axis: int) -> ChannelLayout:
        """What a dense layer makes; one that is called again reads and makes the same channels."""
        if layout is not None:
            self._use(path, "in", layout)
        known = self.makes.get(path)
        if known is None:
            known = ChannelLayout(axis, (self.runs.new(module.weight.shape[0]),))
            self._use(path, "out", known)
        return known

    def _use(self, path: str, side: Side, layout: ChannelLayout) -> None:
        for table in {"out": (self.makes,), "in": (self.reads,), "both": (self.reads, self.makes)}[side]:
            if path in table:
                self.runs.join(table[path].runs, layout.runs)
            table[path] = layout
        offset = 0
        for run in layout.runs:
            end = offset + self.runs.sizes[run]
            self.uses.append((run, Use(path, side, (offset, end - 1) if len(layout.runs) > 1 else None)))
            offset = end

    # Functions

    def _parameter(self, step: Step) -> ChannelLayout | None:
        """A weight for each channel that stands in a module by itself, such as a layer scale."""
        shape, path = step.meta["shape"], str(step.target)
        large = [axis for axis, size in enumerate(shape or ()) if size > 1]
        if len(large) != 1:
            return None
        run = self.runs.new(shape[large[0]])
        layout = ChannelLayout(large[0], (run,))
        self._use(path, "both", layout)
        return layout

    def _function(self, step: Step) -> ChannelLayout | None:
        sources = [each for each in step.all_input_nodes if each.meta["shape"] is not None]
        target, name = step.target, getattr(step.target, "__name__", str(step.target))
        if name in ("size", "getattr", "dim", "len") and step.meta["shape"] is None:
            return None  # a shape is asked for
        if step.meta["shape"] is None:
            return self._unknown(step, f"'{name}'")
        if name == "mean" and len(sources) == 1:
            return self._averaged(step, sources[0])
        if target is torch.cat:
            return self._concatenated(step)
        if target in _ELEMENTWISE:
            return self._elementwise(step, sources)
        if target in _PASSING and len(sources) == 1:
            return self._passed(step, sources[0])
        if target in _RESHAPES and len(sources) == 1 and not self._names_channels(step, sources[0]):
            return self._passed(step, sources[0])
        if name in ("permute", "transpose") and len(sources) == 1:
            return self._permuted(step, sources[0])
        if target is operator.getitem and len(sources) == 1:
            return self._sliced(step, sources[0])
        if target is functional.pad and len(step.args[1]) <= 4:  # type: ignore[arg-type]
            return self._passed(step, sources[0])
        return self._unknown(step, f"'{name}'")

    def _averaged(self, step: Step, source: Step) -> ChannelLayout | None:
        """Over pixels, not over channels."""
        layout, count = self.layouts.get(source), len(source.meta["shape"])
        given: Any = step.args[1] if len(step.args) > 1 else step.kwargs.get("dim")
        axes = [given] if isinstance(given, int) else given
        if layout is None or axes is None or layout.axis in [axis % count for axis in axes]:
            return self._unknown(step, "a mean over them")
        return self._passed(step, source)

    def _names_channels(self, step: Step, source: Step) -> bool:
        """Whether the number of channels stands in a call as it is, so that it would stay what it was."""
        layout = self.layouts.get(source)
        if layout is None:
            return False
        sizes = step.args[1] if len(step.args) == 2 and isinstance(step.args[1], list | tuple) else step.args[1:]
        return step.meta["shape"] is not None and self.runs.size(layout) in sizes and self.runs.size(layout) > 1

    def _concatenated(self, step: Step) -> ChannelLayout | None:
        given = step.args[1] if len(step.args) > 1 else step.kwargs.get("dim", step.kwargs.get("axis", 0))
        values: Any = step.args[0] if step.args else step.kwargs.get("tensors")
        layouts = [self.layouts.get(value) for value in values]
        understood = [layout for layout in layouts if layout is not None]
        axis = given % len(step.meta["shape"]) if isinstance(given, int) else -1
        if len(understood) < len(layouts) or len({layout.axis for layout in understood}) != 1:
            return self._unknown(step, "a concatenation with channels that are not understood")
        if axis == understood[0].axis:
            return ChannelLayout(axis, tuple(run for layout in understood for run in layout.runs))
        for layout in understood[1:]:
            self.runs.join(understood[0].runs, layout.runs)
        return understood[0]

    def _elementwise(self, step: Step, sources: list[Step]) -> ChannelLayout | None:
        """Operands of one channel, and numbers, are spread over those of the others."""
        shape = step.meta["shape"]
        found: ChannelLayout | None = None
        for source in sources:
            layout, own = self.layouts.get(source), source.meta["shape"]
            if layout is None:
                continue
            from_end = len(own) - layout.axis
            axis = len(shape) - from_end
            if self.runs.size(layout) != shape[axis]:
                self.runs.fix(layout.runs, f"'{step.name}' spreads them")
                continue
            if found is None:
                found = ChannelLayout(axis, layout.runs)
            elif found.axis != axis:
                self.runs.fix((*found.runs, *layout.runs), f"'{step.name}' reads them along different axes")
            else:
                self.runs.join(found.runs, layout.runs)
        for source in sources:
            own = source.meta["shape"]
            if found is None or source in self.layouts:
                continue
            axis = found.axis - (len(shape) - len(own))
            if axis >= 0 and own[axis] != 1:
                self.runs.fix(found.runs, f"'{step.name}' reads them beside others that are not understood")
        return found

    def _permuted(self, step: Step, source: Step) -> ChannelLayout | None:
        layout = self.layouts.get(source)
        if layout is None:
            return None
        given: Any = step.args[1] if len(step.args) == 2 and isinstance(step.args[1], list | tuple) else step.args[1:]
        count = len(source.meta["shape"])
        order = [each % count for each in given]
        if getattr(step.target, "__name__", step.target) == "transpose":
            one, other = order
            order = list(range(count))
            order[one], order[other] = other, one
        return ChannelLayout(order.index(layout.axis), layout.runs)

    def _sliced(self, step: Step, source: Step) -> ChannelLayout | None:
        """Pixels may be chosen; channels only all of them."""
        layout = self.layouts.get(source)
        if layout is None:
            return None
        if len(step.meta["shape"]) == len(source.meta["shape"]) and step.meta["shape"][layout.axis] == self.runs.size(
            layout
        ):
            return layout
        return self._unknown(step, "a choice of some of them")


def _is_plain_activation(module: nn.Module | None) -> bool:
    return is_activation(module) and module is not None and not any(True for _ in module.parameters())
