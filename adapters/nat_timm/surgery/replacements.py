"""What stands in a model for layers and blocks that were left out, and a block with a shortcut that it did not have.

All of it can be scripted where the layers that it replaces can, and gives values of its own: what follows may write
over them in place (``x += shortcut`` in many forwards of timm), which must not reach what else reads the input.
"""

from __future__ import annotations

import inspect
from types import FunctionType
from typing import Any, Literal

import torch
from torch import Tensor, nn


class Passed(nn.Module):
    """A block that was left out: its input goes on, through the activation that stood after the sum."""

    def __init__(self, act: nn.Module) -> None:
        super().__init__()
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.act(x.clone())
        return out


class PassedAmong(Passed):
    """The same for a block of DLA, which is given a shortcut and what else goes into a sum."""

    def forward(self, x: Tensor, _shortcut: Tensor | None = None, _children: list[Tensor] | None = None) -> Tensor:
        out: Tensor = self.act(x.clone())
        return out


class Skipped(nn.Identity):
    """A layer that was left out. Of a convolution it keeps what others ask of one (``ConvNormAct.in_channels``), and
    what is needed to state it as a convolution again (``nat_timm.surgery.fusing``). ``does``: of those that were left
    out together, the first one ``copies`` its input, or ``drops`` it for zeros; the others pass it on."""

    def __init__(self, replaced: nn.Module, does: Literal["copies", "drops", "passes"]) -> None:
        super().__init__()
        self.copies, self.drops = does == "copies", does == "drops"
        self.is_norm = isinstance(replaced, nn.modules.batchnorm._BatchNorm)
        self.is_conv = isinstance(replaced, nn.Conv2d)
        if isinstance(replaced, nn.Conv2d):
            self.in_channels, self.out_channels = replaced.in_channels, replaced.out_channels
            self.kernel_size, self.stride = replaced.kernel_size, replaced.stride
            self.padding, self.dilation, self.groups = replaced.padding, replaced.dilation, replaced.groups
            self.has_bias = replaced.bias is not None
        elif isinstance(replaced, nn.modules.batchnorm._BatchNorm):
            self.num_features = replaced.num_features

    def forward(self, input: Tensor) -> Tensor:
        if self.drops:
            return torch.zeros_like(input)
        return input.clone() if self.copies else input


def passed(block: nn.Module, act: nn.Module | None) -> nn.Module:
    """What stands for ``block``, in its mode."""
    kind = Passed if len(inspect.signature(block.forward).parameters) == 1 else PassedAmong
    return kind(nn.Identity() if act is None else act).train(block.training)


_SHORTCUTS: dict[type[nn.Module], type[nn.Module]] = {}


def add_shortcut(block: nn.Module) -> None:
    """Have a block add its input to its output, in place: paths and weights stay where they are."""
    kind = type(block)
    if kind not in _SHORTCUTS:
        _SHORTCUTS[kind] = derived(kind, "WithShortcut", forward=_with_shortcut, _change=_renamed(kind.forward))
    block.__class__ = _SHORTCUTS[kind]


def has_shortcut(block: nn.Module) -> bool:
    """Whether ``add_shortcut`` was done to a block."""
    return type(block) in _SHORTCUTS.values()


def remove_shortcut(block: nn.Module) -> None:
    """Undo ``add_shortcut``."""
    block.__class__ = type(block).__mro__[1]


def _with_shortcut(self: Any, x: Tensor) -> Tensor:
    out: Tensor = x + self._change(x)
    return out


def _renamed(forward: Any) -> FunctionType:
    """The same function by the name under which TorchScript is to compile it."""
    made = FunctionType(forward.__code__, forward.__globals__, "_change", forward.__defaults__, forward.__closure__)
    made.__annotations__ = forward.__annotations__
    return made


def derived(kind: type[nn.Module], suffix: str, **members: object) -> type[nn.Module]:
    """A subclass with other methods. It has the annotations of its class as its own: TorchScript reads those only."""
    notes = dict(getattr(kind, "__annotations__", {}))
    return type(kind.__name__ + suffix, (kind,), {"__module__": kind.__module__, "__annotations__": notes, **members})
