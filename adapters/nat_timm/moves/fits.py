"""Which operations may be fitted in the place of a block or of a part of it, and what they cost."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from nat_plugin.fitting import MAX_INPUTS
from nat_timm.documents.forms import LOW_RANK, SEPARABLE, Form
from nat_timm.moves.naming import MERGED
from nat_timm.moves.products import LARGEST, is_expansion, product_of, reach_of, runs
from nat_timm.reading.parts import Pair
from nat_timm.reading.trace import Trace
from nat_timm.reading.units import FUNCTIONS, ModelUnit, is_activation, is_norm
from nat_timm.surgery.fusing import is_part_of_fused

_LISTS = ("dense",)
"""Blocks that get a list of feature maps."""
GROUPS, RANKS, NARROWEST = (2, 4), (2, 4), 8
"""Numbers of groups, shares of the outputs that are a rank, channels in a group or rank at least."""


@dataclass(frozen=True)
class Offer:
    """An operation that may stand in the place of layers one after the other, or of a block; what it costs then is that
    of all of the block."""

    at: tuple[str, ...]
    form: Form
    name: str
    cost: Pair


def offers(trace: Trace, unit: ModelUnit) -> tuple[Offer, ...]:
    """In the place of a block, and of pairs of its convolutions that are one; none where a block is no function of one
    feature map by itself."""
    if not _is_replaceable(trace, unit):
        return ()
    return (*_whole(trace, unit), *_pairs(trace, unit))


def _whole(trace: Trace, unit: ModelUnit) -> Iterator[Offer]:
    assert unit.input is not None
    shape, out = unit.input.meta["shape"][1:], unit.output.meta["shape"][1:]
    activation = _activation(trace, unit)
    made = dict[Form, None]()
    for stride, kinds in (
        (_stride(trace, unit), _kinds((shape[0], out[0]), unit.residual is not None)),
        *_product(trace, unit, activation),
    ):
        if [-(-side // stride) for side in shape[1:]] == list(out[1:]):
            is_same = stride > 1 and any("Same" in type(each).__name__ for each in _modules(trace, unit))
            plain = Form((shape[0], out[0]), stride=stride, same=is_same, activation=activation)
            made |= dict.fromkeys(replace(plain, **each) for each in kinds)
    for form in made:
        if _inputs(form) <= MAX_INPUTS:
            yield Offer((unit.path,), form, form.name, form.cost(shape))


def _pairs(trace: Trace, unit: ModelUnit) -> Iterator[Offer]:
    """Pairs of convolutions in a block between which no activation is, or where it pays to leave it out; with the rest
    of the block."""
    total = unit_cost(trace, unit)
    for run in runs(trace, unit.steps):
        if not run.is_linear and not is_expansion(trace, run):
            continue
        reach, first, last = reach_of(trace, run), run.steps[0], run.steps[-1]
        shape, out = first.all_input_nodes[0].meta["shape"][1:], last.meta["shape"][1:]
        if reach is None or reach.kernel > LARGEST or [-(-side // reach.stride) for side in shape[1:]] != list(out[1:]):
            continue
        form = Form((shape[0], out[0]), kernel=reach.kernel, stride=reach.stride, same=reach.same, border=reach.border)
        if _inputs(form) <= MAX_INPUTS:
            params = sum(each.numel() for path in run.paths for each in trace.modules[path].parameters())
            macs = sum(step.meta["macs"] for step in run.steps)
            mine = form.cost(shape)
            ends = "/".join(path.removeprefix(f"{unit.path}.") for path in (run.paths[0], run.paths[-1]))
            size = f"{form.kernel}x{form.kernel}{'b' * form.border}"
            cost = total[0] - params + mine[0], total[1] - macs + mine[1]
            yield Offer(run.paths, form, f"{MERGED}{ends}-{size}".replace("_", "."), cost)


def _inputs(form: Form) -> int:
    return form.channels[0] * form.kernel**2


def _modules(trace: Trace, unit: ModelUnit) -> Iterable[nn.Module]:
    return trace.modules[unit.path].modules()


def _kinds(channels: tuple[int, int], has_shortcut: bool) -> Iterator[dict[str, Any]]:
    """From expensive to cheap. A convolution can copy what it reads, so it needs no shortcut beside it; of low rank it
    cannot."""
    c_in, c_out = channels
    yield {"kernel": 3}
    for groups in GROUPS:
        if c_in % groups == 0 == c_out % groups and min(c_in, c_out) >= NARROWEST * groups:
            yield {"kernel": 3, "groups": groups}
    for share in RANKS:
        if c_out >= NARROWEST * share:
            yield {"kind": LOW_RANK, "kernel": 3, "rank": c_out // share, "shortcut": has_shortcut}
    yield {"kind": SEPARABLE, "kernel": 3}
    yield {"kernel": 1}


def _product(trace: Trace, unit: ModelUnit, activation: str | None) -> Iterator[tuple[int, Iterable[dict[str, Any]]]]:
    """The stride and the one convolution that a block without activations is, exactly."""
    reach = product_of(trace, unit, activation)
    if reach is not None and 1 < reach.kernel <= LARGEST:
        yield reach.stride, [{"kernel": reach.kernel, "border": reach.border}]


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


def unit_cost(trace: Trace, unit: ModelUnit) -> Pair:
    """Parameters and MACs of all that is in a unit."""
    paths = [unit.path] if unit.is_block else [str(step.target) for step in unit.steps]
    params = sum(parameter.numel() for path in paths for parameter in trace.modules[path].parameters())
    return params, sum(step.meta["macs"] for step in unit.steps)
