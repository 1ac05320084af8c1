"""Which operations may be fitted in the place of a block, and what they cost."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from nat_plugin.fitting.linear import MAX_INPUTS
from nat_timm.documents.forms import LOW_RANK, SEPARABLE, Form
from nat_timm.reading.branches import ADDS
from nat_timm.reading.parts import Pair
from nat_timm.reading.trace import Step, Trace
from nat_timm.reading.units import FUNCTIONS, ModelUnit, is_activation, is_norm
from nat_timm.surgery.fusing import is_part_of_fused

_LISTS = ("dense",)
"""Blocks that get a list of feature maps."""
GROUPS, RANKS, NARROWEST = (2, 4), (2, 4), 8
"""Numbers of groups, shares of the outputs that are a rank, channels in a group or rank at least."""
LARGEST = 7
"""Kernel of a product."""


def forms(trace: Trace, unit: ModelUnit) -> tuple[tuple[Form, Pair], ...]:
    """Forms with parameters and MACs; none where a block is no function of one feature map by itself."""
    if not _is_replaceable(trace, unit):
        return ()
    assert unit.input is not None
    shape, (c_out, *size) = unit.input.meta["shape"][1:], unit.output.meta["shape"][1:]
    stride = _stride(trace, unit)
    if [-(-side // stride) for side in shape[1:]] != size:
        return ()
    is_same = stride > 1 and any("Same" in type(module).__name__ for module in trace.modules[unit.path].modules())
    plain = Form((shape[0], c_out), stride=stride, same=is_same, activation=_activation(trace, unit))
    kinds = [*_kinds(plain, unit.residual is not None), *_product(trace, unit, plain.activation)]
    made = dict.fromkeys(replace(plain, **each) for each in kinds)
    return tuple((form, form.cost(shape)) for form in made if form.channels[0] * form.kernel**2 <= MAX_INPUTS)


def _kinds(plain: Form, has_shortcut: bool) -> Iterator[dict[str, Any]]:
    """From dear to cheap. A convolution can copy what it reads, so that it needs no shortcut beside it; of a low rank
    it cannot."""
    c_in, c_out = plain.channels
    yield {"kernel": 3}
    for groups in GROUPS:
        if c_in % groups == 0 == c_out % groups and min(c_in, c_out) >= NARROWEST * groups:
            yield {"kernel": 3, "groups": groups}
    for share in RANKS:
        if c_out >= NARROWEST * share:
            yield {"kind": LOW_RANK, "kernel": 3, "rank": c_out // share, "shortcut": has_shortcut}
    yield {"kind": SEPARABLE, "kernel": 3}
    yield {"kernel": 1}


def _product(trace: Trace, unit: ModelUnit, activation: str | None) -> Iterator[dict[str, Any]]:
    """The one convolution that a block without activations is, exactly: where one of its convolutions looks around at
    most, as zeros that others put between them belong to no window on the input."""
    spatial = []
    for step in unit.steps:
        module = trace.module(step)
        if step.op == "call_module" and str(step.target) == f"{unit.path}.{activation}":
            continue
        if isinstance(module, nn.Conv2d) and module.kernel_size != (1, 1):
            spatial.append(step)
        elif not _is_linear(module) and (module is not None or step.target not in ADDS):
            return
    if len(spatial) != 1:
        return
    conv = trace.module(spatial[0])
    assert isinstance(conv, nn.Conv2d)
    kernel = conv.kernel_size[0]
    if conv.kernel_size == (kernel, kernel) and kernel % 2 and kernel <= LARGEST and conv.dilation == (1, 1):
        yield {"kernel": kernel, "border": _reads_a_bias(trace, spatial[0], set(unit.steps))}


def _is_linear(module: nn.Module | None) -> bool:
    if is_norm(module):
        return isinstance(module, _BatchNorm) and not any(is_activation(each) for each in module.modules())
    return isinstance(module, nn.Conv2d | nn.Identity | nn.Dropout | nn.BatchNorm2d)


def _reads_a_bias(trace: Trace, step: Step, members: set[Step]) -> bool:
    """Whether a layer before a convolution adds something to every pixel, of which its padding knows nothing."""
    ahead = [each for each in step.all_input_nodes if each in members]
    while ahead:
        at = ahead.pop()
        module = trace.module(at)
        if is_norm(module) or (isinstance(module, nn.Conv2d) and module.bias is not None):
            return True
        ahead += [each for each in at.all_input_nodes if each in members]
    return False


def _is_replaceable(trace: Trace, unit: ModelUnit) -> bool:
    """Whether a block is called once, shares nothing with others, and is not fused with them."""
    if not unit.is_block or unit.input is None or is_part_of_fused(trace.modules, unit.path):
        return False
    if unit.label in _LISTS or len(inspect.signature(trace.modules[unit.path].forward).parameters) != 1:
        return False
    if any(step.op == "call_module" and trace.calls[str(step.target)] > 1 for step in unit.steps):
        return False
    inside = {id(each) for each in trace.modules[unit.path].parameters()}
    outside = (each for path, each in trace.model.named_parameters(remove_duplicate=False) if not _is_in(path, unit))
    return not any(id(each) in inside for each in outside)


def _is_in(path: str, unit: ModelUnit) -> bool:
    return path.startswith(unit.path + ".")


def _stride(trace: Trace, unit: ModelUnit) -> int:
    """The largest of any layer: what is beside the main path has the same."""
    strides = [1]
    for module in (trace.module(step) for step in unit.steps):
        if isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
            stride = module.stride
            strides.append(stride if isinstance(stride, int) else max(stride))
    return max(strides)


def _activation(trace: Trace, unit: ModelUnit) -> str | None:
    """What a block ends with: the path of an activation without weights in it, or the name of a function."""
    if unit.residual is not None:
        return unit.residual.post
    step = unit.output
    while isinstance(trace.module(step), nn.Identity | nn.Dropout) and len(step.all_input_nodes) == 1:
        step = step.all_input_nodes[0]
    path, module = str(step.target), trace.module(step)
    if is_norm(module) and isinstance(getattr(module, "act", None), nn.Module):  # timm's norms may have one in them
        path, module = f"{path}.act", getattr(module, "act", None)
    if module is not None and is_activation(module) and not list(module.parameters()) and _is_in(path, unit):
        return path.removeprefix(unit.path + ".")
    return next((name for function, name in FUNCTIONS.items() if step.target is function), None)
