"""What frozen modules cost and how their outputs look, on the meta device: no weights, no computation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import nn

from nat_nni.generic.probing import OP, kind_of
from nat_plugin.ir import Cost
from nat_plugin.nets import MACCounter

Signature: TypeAlias = Any
"""Shapes and types of tensors, in the tuples, lists and dicts in which they stand."""


@dataclass(frozen=True)
class ModuleCall:
    """One call of a module: its arguments (meta tensors), what it gave, and its place in the order of ends."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    output: Signature
    order: int


@dataclass(frozen=True)
class Recording:
    """The calls of every module of a model by path, its output, and its cost."""

    calls: Mapping[str, list[ModuleCall]]
    output: Signature
    cost: Cost


@dataclass(frozen=True)
class MeasuredModule:
    """The cost of a module over all its calls, what it gives at each, and whether it passes its input on
    (``identity``), gives zeros (``zero``) or neither (``op``)."""

    cost: Cost
    output: tuple[Signature, ...]
    kind: str


def signature(value: Any) -> Signature:
    if isinstance(value, torch.Tensor):
        return ("tensor", tuple(value.shape), str(value.dtype))
    if isinstance(value, Mapping):
        return ("dict", tuple((key, signature(each)) for key, each in value.items()))
    if isinstance(value, list | tuple):
        return ("list", tuple(signature(each) for each in value))
    return type(value).__name__


def first_shape(value: Signature) -> tuple[int, ...] | None:
    """The shape of the first tensor in a signature."""
    if not isinstance(value, tuple):
        return None
    if value[0] == "tensor":
        return tuple(value[1])
    each = value[1] if value[0] == "list" else tuple(inner for _, inner in value[1])
    return next((found for inner in each if (found := first_shape(inner)) is not None), None)


def params(modules: Iterable[nn.Module]) -> int:
    """Parameters of some modules together, shared ones once."""
    each = {id(p): p.numel() for module in modules for p in module.parameters()}
    return sum(each.values())


def record(model: nn.Module, image: torch.Tensor) -> Recording:
    """Run a model once and note every call of a module in it."""
    calls: dict[str, list[ModuleCall]] = {}
    count = 0
    handles = []

    def noting(path: str) -> Any:
        def note(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
            nonlocal count
            calls.setdefault(path, []).append(ModuleCall(args, kwargs, signature(output), count))
            count += 1

        return note

    model.eval()
    for path, module in model.named_modules():
        handles.append(module.register_forward_hook(noting(path), with_kwargs=True))
    try:
        with MACCounter() as counter, torch.no_grad():
            output = model(image)
    finally:
        for handle in handles:
            handle.remove()
    return Recording(calls, signature(output), Cost(params([model]), counter.macs))


def measure(module: nn.Module, calls: Sequence[ModuleCall]) -> MeasuredModule:
    """Raises whatever the module raises on these arguments."""
    module.eval()
    with MACCounter() as counter, torch.no_grad():
        outputs = tuple(signature(module(*call.args, **call.kwargs)) for call in calls)
    kinds = {kind_of(module, call.args, call.kwargs) for call in calls}
    return MeasuredModule(Cost(params([module]), counter.macs), outputs, kinds.pop() if len(kinds) == 1 else OP)


def candidates_of(args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Any]:
    """What an input choice was called with. The list may have grown since: a cell appends to it."""
    return list(args[0] if args else kwargs["candidate_inputs"])


def survives_without(
    model: nn.Module,
    image: torch.Tensor,
    cut: Iterable[str],
    wired: Mapping[str, Sequence[Sequence[int]]] | None = None,
) -> bool:
    """Whether the output of a model still depends on its input where the outputs of some modules do not, and whichever
    of its options each of the input choices in ``wired`` (by path) takes."""
    handles = [model.get_submodule(path).register_forward_hook(_cut) for path in cut]
    for path, options in (wired or {}).items():
        handles.append(model.get_submodule(path).register_forward_hook(_worst(options), with_kwargs=True))
    frozen = [each for each in model.parameters() if each.requires_grad]
    for each in frozen:
        each.requires_grad_(False)
    try:
        model.eval()
        output = model(image.clone().requires_grad_() + 0)  # a leaf could not be changed in place
        return bool(isinstance(output, torch.Tensor) and output.requires_grad)
    finally:
        for handle in handles:
            handle.remove()
        for each in frozen:
            each.requires_grad_()


def _worst(options: Sequence[Sequence[int]]) -> Any:
    """A hook that takes the input from what an input choice gives, if one of its options has none."""

    def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        given = [isinstance(each, torch.Tensor) and each.requires_grad for each in candidates_of(args, kwargs)]
        return (
            output if all(any(given[number] for number in option) for option in options) else _cut(module, args, output)
        )

    return hook


def _cut(_module: nn.Module, _args: Any, output: Any) -> Any:
    if isinstance(output, torch.Tensor):
        return output.detach()
    if isinstance(output, list | tuple):
        return type(output)(_cut(_module, _args, each) for each in output)
    return output
