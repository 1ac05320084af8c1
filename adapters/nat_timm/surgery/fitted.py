"""What stands in the place of a block as an operation of a given form, for ``nat_timm.fitting`` to give it weights."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from nat_plugin.ir import Conv
from nat_timm.documents.forms import Form
from nat_timm.framework import timm


class FittedOp(nn.Module):
    """An operation of ``form``. Until it is fitted it copies as many channels as it can."""

    def __init__(self, form: Form, act: nn.Module, like: Tensor) -> None:
        super().__init__()
        self.form = form
        layers = list(_layers(form, like))
        self.body = nn.Sequential(*layers)
        self.act = act
        self.shortcut, self.border = form.shortcut, form.border
        for layer in layers:
            nn.init.dirac_(layer.weight, layer.groups)
        if form.shortcut:
            nn.init.zeros_(layers[-1].weight)

    def forward(self, x: Tensor) -> Tensor:
        given = torch.cat([x, torch.ones_like(x[:, :1])], 1) if self.border else x
        out: Tensor = self.body(given)
        if self.shortcut:
            out = out + x
        acted: Tensor = self.act(out)
        return acted

    def extra_repr(self) -> str:
        return f"{self.form.name}, shortcut={self.form.shortcut}, same={self.form.same}"


def _layers(form: Form, like: Tensor) -> Iterable[nn.Conv2d]:
    for layer in form.layers:
        is_same = form.same and layer.stride != (1, 1)
        kind: Any = timm().layers.Conv2dSame if is_same else nn.Conv2d
        made: nn.Conv2d = kind(
            layer.c_in, layer.c_out, layer.kernel, layer.stride, 0 if is_same else _padding(layer),
            groups=layer.groups, bias=layer.bias, device=like.device, dtype=like.dtype,
        )  # fmt: skip
        if made.bias is not None:
            nn.init.zeros_(made.bias)
        yield made


def _padding(layer: Conv) -> tuple[int, int]:
    return layer.kernel[0] // 2, layer.kernel[1] // 2


def fitted(block: nn.Module, form: Form, act: nn.Module | None) -> nn.Module:
    """What stands for ``block``, in its mode, on its device."""
    like = next(block.parameters(), torch.empty(0))
    return FittedOp(form, nn.Identity() if act is None else act, like).train(block.training)
