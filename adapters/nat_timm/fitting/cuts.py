"""Convolutions that read what was cut before them: they can be fitted to what they gave before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nat_timm.documents.edits import Edit
from nat_timm.documents.forms import Form
from nat_timm.fitting.probing import RecordedCall
from nat_timm.reading.parts import squeeze_layers

_CUTS = ("hidden", "kernel", "skip", "drop")
_GONE = ("skip", "drop")


def readers_of(model: nn.Module, edits: Iterable[Edit], order: Sequence[RecordedCall], norms: bool) -> set[str]:
    """The paths of the first dense convolution at or behind each cut in the same block that gives as many channels as
    it did; ``model``: with the edits or without, of which ``order`` is. ``norms``: a convolution without a bias may be
    one whose norm, which comes next, takes what a bias would."""
    edits, found = list(edits), set()
    gates = [path for path, module in model.named_modules() if squeeze_layers(module) is not None]
    left = {path for edit in edits if edit.op in _GONE for path in edit.at}
    left |= {path for edit in edits if edit.op == "hidden" for path in edit.at[:-1]}  # what they gave has more channels
    for start in starts_of(edits):
        block = start.rpartition(".")[0]
        first = next((at for at, call in enumerate(order) if call.path == start), len(order))
        for at in range(first, len(order)):
            call = order[at]
            if not block or not call.path.startswith(block + "."):
                break
            if not isinstance(call.module, nn.Conv2d) or call.module.groups > 1 or call.path in left:
                continue
            if any(call.path.startswith(path + ".") for path in gates):  # it reads the mean
                continue
            is_normed = norms and at + 1 < len(order) and isinstance(order[at + 1].module, _BatchNorm)
            if is_plain(call.module) and (is_normed or call.module.bias is not None):
                found.add(call.path)
            break
    return found


def starts_of(edits: Iterable[Edit]) -> list[str]:
    """The path of the module of each cut from which on what reads it may stand."""
    return [edit.at[-1] if edit.op == "hidden" else edit.at[0] for edit in edits if edit.op in _CUTS]


def cuts_in(edits: Iterable[Edit]) -> list[str]:
    """What is cut, by the names of edits."""
    return [edit.op for edit in edits if edit.op in _CUTS]


def install_reader(conv: nn.Conv2d, weights: Tensor, bias: Tensor) -> None:
    """Give a convolution weights of its own: those that it has may be shared with another model."""
    made = torch.empty_like(conv.weight).copy_(weights)
    conv.weight = nn.Parameter(made, conv.weight.requires_grad)
    if conv.bias is not None:
        conv.bias = nn.Parameter(torch.empty_like(conv.bias).copy_(bias), conv.bias.requires_grad)


def form_of(conv: nn.Conv2d) -> Form:
    """What a dense convolution is."""
    return Form(
        (conv.in_channels, conv.out_channels), kernel=conv.kernel_size[0], stride=conv.stride[0], same=_is_same(conv)
    )


def _is_same(conv: nn.Conv2d) -> bool:
    return type(conv).__name__ == "Conv2dSame"


def is_plain(conv: nn.Conv2d) -> bool:
    """Whether it is as a form says it: a square window, padded by zeros on all sides alike or as TensorFlow does it."""
    kernel, stride = conv.kernel_size, conv.stride
    if kernel[0] != kernel[1] or not kernel[0] % 2 or stride[0] != stride[1] or conv.dilation != (1, 1):
        return False
    if type(conv) is nn.Conv2d:
        return conv.padding_mode == "zeros" and conv.padding == (kernel[0] // 2,) * 2
    return _is_same(conv)
