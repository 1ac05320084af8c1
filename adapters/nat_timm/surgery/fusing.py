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

from nat_timm.surgery.fitted import FittedOp
from nat_timm.surgery.replacements import Passed, Skipped, add_shortcut, derived, has_shortcut, remove_shortcut

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


def fused_around(model: nn.Module, path: str) -> list[nn.Module]:
    """The modules around a path that timm fuses."""
    names = path.split(".")
    around = (model.get_submodule(".".join(names[:end])) for end in range(1, len(names)))
    return [each for each in around if any(hasattr(each, name) for name in _METHODS)]


def is_fused_away(modules: Mapping[str, nn.Module], path: str) -> bool:
    """Whether timm makes one layer of the module at ``path`` and others, or puts another module in its place."""
    return hasattr(modules[path], "fuse") or is_part_of_fused(modules, path)


def is_part_of_fused(modules: Mapping[str, nn.Module], path: str) -> bool:
    """Whether a module around the one at ``path`` is fused from what it was built of."""
    names = path.split(".")
    around = (modules[".".join(names[:end])] for end in range(1, len(names)))
    return any(hasattr(each, name) for each in around for name in _METHODS)


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
        if any(isinstance(each, Passed | FittedOp) for each in self.modules()):
            return self  # it would fuse with a block that is gone; its other parts are fused one by one
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
    if isinstance(module, Skipped) and module.is_conv:
        conv = _conv(module, module.kernel_size, module.padding, module.has_bias, like)
        if not module.drops:
            nn.init.dirac_(conv.weight, module.groups)
        return conv
    if isinstance(module, Skipped) and module.is_norm:
        norm = nn.BatchNorm2d(module.num_features, eps=0.0, device=like.device, dtype=like.dtype)
        return norm.train(module.training)
    if isinstance(module, nn.Conv2d) and hasattr(module, "nat_built"):
        kernel, padding = module.nat_built  # type: ignore[misc]  # see note_kernel
        high, wide = ((built - size) // 2 for built, size in zip(kernel, module.kernel_size, strict=True))
        conv = _conv(module, kernel, padding, module.bias is not None, like)
        conv.weight.copy_(functional.pad(module.weight, (wide, wide, high, high)))
        if conv.bias is not None and module.bias is not None:
            conv.bias.copy_(module.bias)
        return conv
    return None


def _conv(module: Any, kernel: Any, padding: Any, has_bias: bool, like: torch.Tensor) -> nn.Conv2d:
    """A convolution of zeros with all else as ``module`` has it."""
    conv = nn.Conv2d(
        module.in_channels, module.out_channels, kernel, module.stride, padding, module.dilation, module.groups,
        has_bias, device=like.device, dtype=like.dtype,
    )  # fmt: skip
    for parameter in conv.parameters():
        nn.init.zeros_(parameter)
    return conv.train(module.training)
