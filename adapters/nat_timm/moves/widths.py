"""Hidden channels: those between a layer that makes them and one that reads them all, which can become fewer."""

from __future__ import annotations

from dataclasses import dataclass
from math import lcm

import torch
from torch import nn
from torch.nn import functional

from nat_timm.reading.parts import ConvPart, LinearPart, conv_part, norm_part, squeeze_part
from nat_timm.reading.trace import Step, Trace
from nat_timm.reading.units import ModelUnit, is_activation, is_norm

_FUNCTIONS = frozenset({
    functional.relu, functional.relu6, functional.silu, functional.gelu, functional.hardtanh, functional.hardswish,
    functional.leaky_relu, functional.dropout, torch.relu,
})  # fmt: skip
_PASSED = (nn.Identity, nn.Dropout, nn.MaxPool2d, nn.AvgPool2d)
SMALLEST = 8
MOST_EXPANSIONS = 5
"""Times the channels of its input at most to which the hidden ones of a block are cut."""


@dataclass(frozen=True)
class Chain:
    """The layers that have the hidden channels, with their parts: the producer first, the consumer last.

    ``unit``: channels that only go together (the width of a group).
    """

    paths: tuple[str, ...]
    parts: tuple[ConvPart | LinearPart, ...]
    hidden: int
    unit: int


def is_dense(module: nn.Module | None) -> bool:
    """A convolution or linear layer of which every output reads every input."""
    if isinstance(module, nn.Linear):
        return True
    return isinstance(module, nn.Conv2d) and module.groups == 1 and module.weight.dim() == 4


def chain(trace: Trace, start: Step, members: set[Step]) -> Chain | None:
    """The hidden channels that a dense layer makes; None if anything reads them that is not understood."""
    producer = trace.module(start)
    if not is_dense(producer) or trace.calls[str(start.target)] > 1:
        return None
    assert isinstance(producer, nn.Conv2d | nn.Linear)
    part = conv_part(producer, start)
    hidden, unit = part.c_out, 1
    paths, parts = [str(start.target)], list[ConvPart | LinearPart]([part])
    step = start
    while True:
        if len(step.users) != 1:
            return None
        step = next(iter(step.users))
        if step not in members or len(step.all_input_nodes) != 1:
            return None
        module = trace.module(step)
        if module is None:
            if step.target in _FUNCTIONS or (step.op == "call_method" and step.target == "contiguous"):
                continue
            return None
        if _is_passed(module):
            continue
        if trace.calls[str(step.target)] > 1:
            return None
        next_part: ConvPart | LinearPart | None
        if is_dense(module):
            assert isinstance(module, nn.Conv2d | nn.Linear)
            next_part = conv_part(module, step)
            if next_part.width != hidden:
                return None
            return Chain((*paths, str(step.target)), (*parts, next_part), hidden, unit)
        if isinstance(module, nn.Conv2d):
            if module.in_channels != hidden or module.out_channels != hidden or module.weight.dim() != 4:
                return None
            next_part = conv_part(module, step)
            unit = lcm(unit, next_part.width)
        elif is_norm(module) or type(module).__name__ == "GlobalResponseNorm":
            next_part = norm_part(module, hidden)
        else:
            next_part = squeeze_part(module, hidden)
        if next_part is None:
            return None
        paths.append(str(step.target))
        parts.append(next_part)


def _is_passed(module: nn.Module) -> bool:
    if isinstance(module, _PASSED) or type(module).__name__ == "DropPath":
        return True
    return is_activation(module) and not any(True for _ in module.parameters())


def smaller(unit: ModelUnit, found: Chain) -> tuple[int, ...]:
    """Fewer hidden channels: the smaller whole expansions of the block's input, or three quarters and a half."""
    c_in = unit.reads[0].meta["shape"][1] if unit.reads and unit.reads[0].meta["shape"] else found.hidden
    ratio = found.hidden / c_in
    wanted = [c_in * each for each in range(MOST_EXPANSIONS, 0, -1) if each < ratio] if ratio >= 2 else []
    wanted = wanted or [found.hidden * 3 // 4, found.hidden // 2]
    step = lcm(found.unit, SMALLEST) if found.hidden > 2 * SMALLEST else found.unit
    rounded = [max(step, (each + step // 2) // step * step) for each in wanted]
    return tuple(dict.fromkeys(each for each in rounded if each < found.hidden and each % found.unit == 0))
