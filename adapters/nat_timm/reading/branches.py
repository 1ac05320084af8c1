"""Branches: layers that read the same value and are added up. Without one of them the others still say something."""

from __future__ import annotations

import operator
from collections.abc import Iterator

import torch
from torch import nn

from nat_timm.reading.trace import Step, Trace

ADDS = frozenset([operator.add, operator.iadd, torch.add])


def is_branch(trace: Trace, conv: Step, end: Step) -> bool:
    """Whether a convolution, whose norm gives ``end``, can give zeros when it is left out: beside it stands a branch
    that cannot be left out (the input itself, perhaps with a norm), or a convolution that was called before it."""
    for term in _terms(trace, _whole(trace, end)):
        convs, source = _origin(trace, term)
        if conv in convs or source is not conv.all_input_nodes[0]:
            continue
        if not convs or trace.order[convs[0]] < trace.order[conv]:
            return True
    return False


def _passes(trace: Trace, step: Step) -> bool:
    """Whether a step adds nothing: an identity, or a sum that starts at zero."""
    if step.target in ADDS:
        return len(step.all_input_nodes) == 1
    module = trace.module(step)
    return isinstance(module, nn.Identity) or type(module).__name__ == "DropPath"


def _whole(trace: Trace, step: Step) -> Step:
    """The sum that a step is a term of, with all its terms; the step itself where it is none."""
    while len(step.users) == 1:
        user = next(iter(step.users))
        if user.target not in ADDS and not _passes(trace, user):
            break
        step = user
    return step


def _terms(trace: Trace, step: Step, is_inner: bool = False) -> Iterator[Step]:
    if is_inner and len(step.users) != 1:  # others read it: it is a value of its own
        yield step
    elif step.target in ADDS or _passes(trace, step):
        for each in step.all_input_nodes:
            yield from _terms(trace, each, True)
    else:
        yield step


def _origin(trace: Trace, term: Step) -> tuple[tuple[Step, ...], Step]:
    """What a term of a sum reads, before at most one convolution and its norm; and that convolution."""
    step = term
    while len(step.all_input_nodes) == 1 and len(step.users) == 1:
        module = trace.module(step)
        if isinstance(module, nn.Conv2d):
            return (step,), step.all_input_nodes[0]
        if not isinstance(module, nn.modules.batchnorm._BatchNorm) and not _passes(trace, step):
            break
        step = step.all_input_nodes[0]
    return (), step
