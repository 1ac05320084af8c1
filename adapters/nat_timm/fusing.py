"""Re-parameterisation of moved models: timm fuses modules (``fuse``, ``reparameterize``, ``switch_to_deploy``) from
branches as they were built. Before it does, what was moved in them is stated as it was built: a smaller kernel as the
large one with zeros around it, a layer that was left out as a convolution that copies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from nat_timm.standins import Skipped, add_shortcut, derived, has_shortcut, remove_shortcut

_METHODS = ("fuse", "reparameterize", "switch_to_deploy")
"""What ``timm.utils.reparameterize_model`` calls of a module, the first that it has."""
_KINDS: dict[type[nn.Module], type[nn.Module]] = {}


def keep_fusible(model: nn.Module, paths: Iterable[str]) -> None:
    """Have the modules around what was changed at ``paths`` fuse as they did before."""
    around = {".".join(names[:end]) for names in (path.split(".") for path in paths) for end in range(1, len(names))}
    for path, module in model.named_modules():
        if path in around and any(hasattr(module, name) for name in _METHODS):
            shortcut = has_shortcut(module)
            if shortcut:
                remove_shortcut(module)
            module.__class__ = _fusible(type(module))
            if shortcut:
                add_shortcut(module)


def is_fused_away(modules: Mapping[str, nn.Module], path: str) -> bool:
    """Whether timm makes one layer of the module at ``path`` and others, or puts another module in its place."""
    names = path.split(".")
    around = (modules[".".join(names[:end])] for end in range(1, len(names)))
    return hasattr(modules[path], "fuse") or any(hasattr(each, name) for each in around for name in _METHODS)


def note_kernel(conv: nn.Conv2d) -> None:
    """Remember what a convolution was built as; to be called before its kernel is cut."""
    if not hasattr(conv, "nat_built"):
        conv.nat_built = (conv.kernel_size, conv.padding)  # type: ignore[assignment]


def _fusible(kind: type[nn.Module]) -> type[nn.Module]:
    if kind in _KINDS.values():
        return kind
    if kind not in _KINDS:
        methods = {name: _restoring(getattr(kind, name)) for name in _METHODS if hasattr(kind, name)}
        _KINDS[kind] = derived(kind, "", **methods)
    return _KINDS[kind]


def _restoring(method: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def fuse(self: nn.Module) -> Any:
        layers = [each for each in self.modules() if not any(True for _ in each.children())]
        if layers and all(isinstance(each, Skipped) for each in layers):
            return nn.Identity()
        with torch.no_grad(), _restored(self):
            return method(self)

    return fuse


@contextmanager
def _restored(module: nn.Module) -> Iterator[None]:
    """Everything in a module as it was built; what is still there afterwards is as it was moved."""
    like = next(module.parameters(), torch.empty(0))
    changed: list[tuple[nn.Module, str, nn.Module, nn.Module]] = []
    for owner in list(module.modules()):
        for name, child in owner.named_children():
            built = _built(child, like)
            if built is not None:
                owner._modules[name] = built
                changed.append((owner, name, child, built))
    yield
    for owner, name, child, built in changed:
        if owner._modules.get(name) is built:
            owner._modules[name] = child


def _built(module: nn.Module, like: torch.Tensor) -> nn.Module | None:
    """A layer that computes the same and has the shape that was built; None where that is the layer itself."""
    where: dict[str, Any] = {"device": like.device, "dtype": like.dtype}
    if isinstance(module, Skipped) and module.is_conv:
        conv = nn.Conv2d(
            module.in_channels, module.out_channels, module.kernel_size, module.stride, module.padding,
            module.dilation, module.groups, module.has_bias, **where,
        )  # fmt: skip
        if module.drops:
            nn.init.zeros_(conv.weight)
        else:
            nn.init.dirac_(conv.weight, module.groups)
        if conv.bias is not None:
            nn.init.zeros_(conv.bias)
        return conv
    if isinstance(module, Skipped) and module.is_norm:
        return nn.BatchNorm2d(module.num_features, eps=0.0, **where).train(module.training)
    if isinstance(module, nn.Conv2d) and hasattr(module, "nat_built"):
        kernel, padding = module.nat_built
        less = [(built - size) // 2 for built, size in zip(kernel, module.kernel_size, strict=True)]
        conv = nn.Conv2d(
            module.in_channels, module.out_channels, kernel, module.stride, padding, module.dilation, module.groups,
            bias=module.bias is not None, **where,
        )  # fmt: skip
        conv.weight.copy_(functional.pad(module.weight, (less[1], less[1], less[0], less[0])))
        if conv.bias is not None:
            conv.bias.copy_(module.bias)
        return conv
    return None
