"""Which convolutions without activations between them are one, and how far that one looks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from nat_timm.reading.branches import ADDS
from nat_timm.reading.trace import Step, Trace
from nat_timm.reading.units import ModelUnit, is_activation, is_norm

LARGEST = 7
"""Kernel of a product."""


@dataclass(frozen=True)
class PixelReach:
    """What a value depends on of what layers read: of ``size`` pixels, from ``before`` pixels above or left of
    ``stride`` times its own place. ``adds``: something was added to every pixel; ``border``: it was before zeros were
    put around. ``same``: padded as TensorFlow does it."""

    size: int = 1
    stride: int = 1
    before: int = 0
    adds: bool = False
    border: bool = False
    same: bool = False

    @property
    def kernel(self) -> int:
        """Of a window with the place in its middle."""
        return 2 * max(self.before, self.size - 1 - self.before) + 1

    def through(self, conv: nn.Conv2d) -> PixelReach | None:
        """Behind a convolution; None where no convolution is both: zeros around a value that already depends on several
        pixels stand for no window on the input."""
        kernel, stride, dilation = conv.kernel_size[0], conv.stride[0], conv.dilation[0]
        if conv.kernel_size[1] != kernel or conv.stride[1] != stride or conv.dilation[1] != dilation:
            return None
        wide, same = dilation * (kernel - 1), _is_same(conv)
        padding = wide // 2 if same else _padding(conv)
        if padding is None or (padding and self.size > 1) or (same and self.stride > 1):
            return None
        return PixelReach(
            self.size + wide * self.stride,
            self.stride * stride,
            self.before + padding * self.stride,
            self.adds or conv.bias is not None,
            self.border or (padding > 0 and self.adds),
            self.same or (same and stride > 1),
        )

    def beside(self, other: PixelReach) -> PixelReach | None:
        """Of a sum."""
        if self.stride != other.stride or (self.same != other.same and self.size > 1 < other.size):
            return None
        before = max(self.before, other.before)
        size = before + max(each.size - each.before for each in (self, other))
        adds, border, same = self.adds or other.adds, self.border or other.border, self.same or other.same
        return PixelReach(size, self.stride, before, adds, border, same)


def _padding(conv: nn.Conv2d) -> int | None:
    """Zeros on each side; None where there are other numbers of them, or no zeros."""
    if isinstance(conv.padding, str) or conv.padding[0] != conv.padding[1]:
        return None
    return conv.padding[0] if conv.padding_mode == "zeros" or not conv.padding[0] else None


def _is_same(conv: nn.Conv2d) -> bool:
    return "Same" in type(conv).__name__


def product_of(trace: Trace, unit: ModelUnit, activation: str | None) -> PixelReach | None:
    """Of a block: what its output depends on, but for the ``activation`` at its end. None where it is no
    convolution."""
    assert unit.input is not None
    reaches: dict[Step, PixelReach] = {unit.input: PixelReach()}
    for step in unit.steps:
        inputs = [reaches.get(node) for node in step.all_input_nodes]
        present = [reach for reach in inputs if reach is not None]
        if not present or len(present) < len(inputs):
            return None
        if step.op == "call_module" and str(step.target) == f"{unit.path}.{activation}":
            reach: PixelReach | None = present[0]
        elif len(present) > 1:
            reach = present[0] if trace.module(step) is None and step.target in ADDS else None
            for other in present[1:]:
                reach = None if reach is None else reach.beside(other)
        else:
            reach = _through(trace, step, present[0])
        if reach is None:
            return None
        reaches[step] = reach
    return reaches.get(unit.output)


def _through(trace: Trace, step: Step, reach: PixelReach) -> PixelReach | None:
    module = trace.module(step)
    if isinstance(module, nn.Conv2d):
        return reach.through(module)
    if is_norm(module):
        plain = isinstance(module, _BatchNorm) and not any(is_activation(each) for each in module.modules())
        return replace(reach, adds=True) if plain else None
    return reach if isinstance(module, nn.Identity | nn.Dropout) else None


@dataclass(frozen=True)
class LayerRun:
    """Layers of which each reads what the one before it gives, and nothing else does: two convolutions at the ends.
    ``is_linear``: no activation is in between."""

    steps: tuple[Step, ...]
    is_linear: bool

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(str(step.target) for step in self.steps)


def runs(trace: Trace, steps: Iterable[Step]) -> Iterator[LayerRun]:
    """All pairs of convolutions among the steps with norms and activations between them, each called once."""
    members = set(steps)
    for first in steps:
        found, is_linear = [first], True
        while _is_once(trace, found[-1]) and (_conv(trace, found[-1]) is not None) == (len(found) == 1):
            after = next(iter(found[-1].users), None)
            if after not in members or len(found[-1].users) > 1 or not _is_once(trace, after):
                break
            found.append(after)
            if _conv(trace, after) is not None:
                yield LayerRun(tuple(found), is_linear)
            elif _through(trace, after, PixelReach()) is None:
                is_linear = False
                if not _is_activated(trace, after):
                    break


def _conv(trace: Trace, step: Step) -> nn.Conv2d | None:
    module = trace.module(step)
    return module if isinstance(module, nn.Conv2d) else None


def _is_once(trace: Trace, step: Step) -> bool:
    return step.op == "call_module" and trace.calls[str(step.target)] == 1


def _is_activated(trace: Trace, step: Step) -> bool:
    """Whether a layer is an activation, or a norm over batches with one in it."""
    module = trace.module(step)
    return is_activation(module) or (is_norm(module) and isinstance(module, _BatchNorm))


def is_expansion(trace: Trace, run: LayerRun) -> bool:
    """A 1x1 and a depthwise convolution, in whose place one dense convolution is faster on large maps, in batches."""
    first, last = (_conv(trace, step) for step in (run.steps[0], run.steps[-1]))
    assert first is not None
    assert last is not None
    is_plain = first.kernel_size == first.stride == (1, 1) and first.groups == 1
    return is_plain and last.groups == last.in_channels == last.out_channels > 1


def reach_of(trace: Trace, run: LayerRun) -> PixelReach | None:
    """None where a run is no convolution, nor would be without activations."""
    reach: PixelReach | None = PixelReach()
    for step in run.steps:
        if run.is_linear or _conv(trace, step) is not None:
            reach = None if reach is None else _through(trace, step, reach)
    return reach


def padded_chains(trace: Trace, activations: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Of convolutions between which one of these activations stood: chains that are one convolution as soon as the
    first of them has all the zeros around."""
    gone = tuple(activations)
    after: dict[str, str] = {}
    for run in filter(lambda each: each.is_linear, runs(trace, trace.steps)):
        modules = [trace.module(step) for step in (run.steps[0], run.steps[-1])]
        between = [f"{path}." for path in run.paths[1:-1]]
        is_wanted = any(f"{each}.".startswith(path) for each in gone for path in between)
        if is_wanted and all(isinstance(each, nn.Conv2d) and _can_give(each) for each in modules):
            after[run.paths[0]] = run.paths[-1]
    chains = []
    for start in after.keys() - set(after.values()):
        chain = [start]
        while chain[-1] in after:
            chain.append(after[chain[-1]])
        convs = [trace.modules[path] for path in chain]
        is_needed = any(isinstance(each, nn.Conv2d) and each.padding != (0, 0) for each in convs[1:])
        if is_needed:
            chains.append(tuple(chain))
    return tuple(sorted(chains))


def _can_give(conv: nn.Conv2d) -> bool:
    return not _is_same(conv) and _padding(conv) is not None and conv.stride[0] == conv.stride[1]
