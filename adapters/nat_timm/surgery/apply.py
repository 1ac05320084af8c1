"""Edits applied to a model, weights and all: what stays keeps its weights, cut to size.

No tracing is needed, so that timm can rebuild a saved model from its base and the edits; only the shapes of the result
depend on the edits, which channels are kept depends on the weights.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from nat_plugin import NATError
from nat_timm.documents.edits import FITTED, ORDER, Edit
from nat_timm.documents.forms import Form
from nat_timm.documents.uses import Use
from nat_timm.reading.units import is_activation
from nat_timm.surgery.fitted import FittedOp, fitted
from nat_timm.surgery.fusing import keep_fusible, note_kernel
from nat_timm.surgery.hidden import shrink_hidden
from nat_timm.surgery.replacements import Skipped, add_shortcut, passed, remove_shortcut
from nat_timm.surgery.width import narrow

_FUNCTIONS: dict[str, Callable[[], nn.Module]] = {"relu": nn.ReLU, "silu": nn.SiLU, "gelu": nn.GELU}
"""Activations after a sum that are functions in a forward of timm, as modules."""
_DOES: dict[str, Literal["copies", "drops"]] = {"skip": "copies", "drop": "drops"}
_INSIDE = ("kernel", "skip", "drop", "null", FITTED)
"""Edits of what may be part of a module that timm fuses."""
_PASSING = ("skip", "drop", "null", "shortcut")
"""Edits after which an activation may get what others read too, and must not write over it."""


def apply_edits(model: nn.Module, edits: Iterable[Edit], name: str) -> nn.Module:
    """Change ``model`` in place, and return it. NATError for an edit that names a module which it does not have, or one
    of the wrong kind."""
    found = sorted(edits, key=lambda each: ORDER.index(each.op))
    for edit in found:
        _APPLY[edit.op](model, edit, name)
    keep_fusible(model, (path for edit in found if edit.op in _INSIDE for path in edit.at))
    if any(edit.op in _PASSING for edit in found):
        for module in model.modules():
            if getattr(module, "inplace", False):
                module.inplace = False  # type: ignore[assignment]
    return model


def find_module(model: nn.Module, path: str, edit: Edit, name: str) -> nn.Module:
    try:
        return model.get_submodule(path)
    except AttributeError:
        raise NATError(
            f"{name}: the edit '{edit.op}' names module '{path[:80]}', which the model does not have"
        ) from None


def _replace(model: nn.Module, path: str, module: nn.Module) -> None:
    parent, _, last = path.rpartition(".")
    owner = model.get_submodule(parent)
    if isinstance(owner, nn.Sequential | nn.ModuleList | nn.ModuleDict) or last in owner._modules:
        owner._modules[last] = module
    else:
        setattr(owner, last, module)


def _number(edit: Edit) -> int:
    return edit.value if isinstance(edit.value, int) else 0


def _conv(model: nn.Module, path: str, edit: Edit, name: str) -> nn.Conv2d:
    module = find_module(model, path, edit, name)
    if not isinstance(module, nn.Conv2d):
        raise NATError(f"{name}: the edit '{edit}' needs a convolution, '{path}' is a {type(module).__name__}")
    return module


def _null(model: nn.Module, edit: Edit, name: str) -> None:
    block = find_module(model, edit.at[0], edit, name)
    act = None if edit.value is None else _activation(block, str(edit.value), edit, name)
    _replace(model, edit.at[0], passed(block, act))


def _fitted(model: nn.Module, edit: Edit, name: str) -> None:
    block, form = find_module(model, edit.at[0], edit, name), edit.value
    assert isinstance(form, Form)
    act = None if form.activation is None else _activation(block, form.activation, edit, name)
    others = [(path, find_module(model, path, edit, name)) for path in edit.at[1:]]
    _replace(model, edit.at[0], fitted(block, form, act))
    for path, module in others:
        _replace(model, path, passed(module, None))


def _activation(block: nn.Module, value: str, edit: Edit, name: str) -> nn.Module:
    if isinstance(block, FittedOp):  # it has the one of the block that it stands for
        return block.act
    return _FUNCTIONS[value]() if value in _FUNCTIONS else find_module(block, value, edit, name)


def _skip(model: nn.Module, edit: Edit, name: str) -> None:
    for number, path in enumerate(edit.at):
        replaced = find_module(model, path, edit, name)
        does = "passes" if number else _DOES[edit.op]
        _replace(model, path, Skipped(replaced, does).train(replaced.training))


def _kernel(model: nn.Module, edit: Edit, name: str) -> None:
    conv = _conv(model, edit.at[0], edit, name)
    k, before = _number(edit), conv.kernel_size
    if before[0] != before[1] or not 0 < k <= before[0] or (before[0] - k) % 2:
        raise NATError(f"{name}: the edit '{edit}' cannot be made to a kernel of {before[0]}x{before[1]}")
    less = (before[0] - k) // 2
    note_kernel(conv)
    if not isinstance(conv.padding, str):
        _pad(conv, tuple(max(0, pad - less * step) for pad, step in zip(conv.padding, conv.dilation, strict=True)))
    conv.kernel_size = (k, k)
    conv.weight = cut(conv.weight, conv.weight.detach()[..., less : less + k, less : less + k])


def _hidden(model: nn.Module, edit: Edit, name: str) -> None:
    modules = [find_module(model, path, edit, name) for path in edit.at]
    try:
        shrink_hidden(modules, _number(edit))
    except ValueError as error:
        raise NATError(f"{name}: the edit '{edit}' cannot be made: {error}") from None


def _width(model: nn.Module, edit: Edit, name: str) -> None:
    try:
        narrow(model, [Use.parse(text) for text in edit.at], _number(edit))
    except ValueError as error:
        raise NATError(f"{name}: the edit '{edit}' cannot be made: {error}") from None


def _pool(model: nn.Module, edit: Edit, name: str) -> None:
    pool = find_module(model, edit.at[0], edit, name)
    if not isinstance(pool, nn.MaxPool2d | nn.AvgPool2d) or edit.value not in ("max", "avg"):
        raise NATError(
            f"{name}: the edit '{edit}' needs a pool and max or avg, '{edit.at[0]}' is a {type(pool).__name__}"
        )
    stride = pool.stride if pool.stride is not None else pool.kernel_size
    made: nn.Module
    if edit.value == "max":
        made = nn.MaxPool2d(pool.kernel_size, stride, pool.padding, ceil_mode=pool.ceil_mode)
    else:
        made = nn.AvgPool2d(pool.kernel_size, stride, pool.padding, pool.ceil_mode, count_include_pad=False)
    made.nat_replaced = (pool,)  # type: ignore[assignment]  # in a tuple, so that it is no part of the model
    _replace(model, edit.at[0], made)


UNDONE = ("shortcut", "pool")
"""Edits that later moves can take back."""


def undo(model: nn.Module, edit: Edit) -> None:
    """Make a model what it was before an edit that later moves take back; there is nothing to do for edits that later
    ones only go on from."""
    module: Any = model.get_submodule(edit.at[0])
    if edit.op == "shortcut":
        remove_shortcut(module)
    elif edit.op == "pool":
        _replace(model, edit.at[0], module.nat_replaced[0])


def _stride(model: nn.Module, edit: Edit, name: str) -> None:
    conv = _conv(model, edit.at[0], edit, name)
    if _number(edit) < 1:
        raise NATError(f"{name}: the edit '{edit}': a stride is 1 or more")
    conv.stride = (_number(edit),) * 2


def _padding(model: nn.Module, edit: Edit, name: str) -> None:
    """From the last of the convolutions to the one before it, and so on."""
    convs = [_conv(model, path, edit, name) for path in edit.at]
    for conv in convs:
        if isinstance(conv.padding, str) or conv.padding_mode != "zeros" or "Same" in type(conv).__name__:
            raise NATError(f"{name}: the edit '{edit}' needs convolutions with zeros around")
    for before, after in reversed(list(itertools.pairwise(convs))):
        pairs = zip(_zeros(before), _zeros(after), before.stride, strict=True)
        _pad(before, tuple(own + its * stride for own, its, stride in pairs))
        _pad(after, (0, 0))


def _zeros(conv: nn.Conv2d) -> tuple[int, ...]:
    assert not isinstance(conv.padding, str)
    return tuple(conv.padding)


def _pad(conv: nn.Conv2d, padding: tuple[int, ...]) -> None:
    conv.padding = padding
    conv._reversed_padding_repeated_twice = [pad for pad in reversed(padding) for _ in range(2)]


def _linear(model: nn.Module, edit: Edit, name: str) -> None:
    for path in edit.at:
        module = find_module(model, path, edit, name)
        if isinstance(module, nn.Identity):
            continue
        if not is_activation(module) or list(module.parameters()):
            raise NATError(
                f"{name}: the edit '{edit}' needs activations without weights, '{path}' is a {type(module).__name__}"
            )
        _replace(model, path, nn.Identity())


def _shortcut(model: nn.Module, edit: Edit, name: str) -> None:
    add_shortcut(find_module(model, edit.at[0], edit, name))


def cut(parameter: Tensor, values: Tensor) -> nn.Parameter:
    """A parameter with some of the values of another."""
    return nn.Parameter(values.detach().clone(memory_format=torch.contiguous_format), parameter.requires_grad)


_APPLY: dict[str, Callable[[nn.Module, Edit, str], None]] = {
    "null": _null,
    "skip": _skip,
    "drop": _skip,
    "kernel": _kernel,
    "hidden": _hidden,
    "width": _width,
    "pool": _pool,
    FITTED: _fitted,
    "linear": _linear,
    "shortcut": _shortcut,
    "stride": _stride,
    "padding": _padding,
}
