"""Blocks without activations as the one convolution that they are: the product of their kernels, exactly."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from nat_plugin.fitting import Solution, Window
from nat_timm.documents.forms import CONV, Form
from nat_timm.fitting.maps import given, map_of
from nat_timm.reading.units import is_activation

EXACT = 1e-7
"""By how much a product may differ from its blocks, as a share of their largest value, in float64."""
_ROUNDING = 1e-9
_AT_ONCE = 32
"""Outputs whose kernels are found together."""


def merged(blocks: Sequence[nn.Module], form: Form, sides: tuple[int, int]) -> Solution | None:
    """The weights of a convolution that computes what blocks one after the other do on maps of ``sides``, at the border
    too; None where no such convolution does: there is an activation, or the form cannot say it."""
    if form.kind != CONV or form.groups > 1:
        return None
    whole = _in_float64(blocks, form.activation) if is_linear(blocks, form.activation) else None
    if whole is None:
        return None
    device = next(whole.parameters()).device
    weights = _kernel(whole, form, device)
    if weights is None:
        return None
    c_in, window = form.channels[0], map_of(form).window
    with torch.no_grad():
        constant = whole(torch.zeros(1, c_in, *sides, dtype=torch.float64, device=device))
        if form.border:
            weights = torch.cat([weights, _border(constant, window, sides)[:, None]], 1)
        bias = torch.zeros_like(constant[0, :, 0, 0]) if form.border else constant[0, :, 0, 0]
        x = torch.rand(2, c_in, *sides, dtype=torch.float64, device=device) - 0.5
        made = functional.conv2d(window.padded(given(form, x)), weights, bias, form.stride)
        wanted = whole(x)
    if made.shape != wanted.shape or not (made - wanted).abs().max() <= EXACT * wanted.abs().max().clamp(min=1e-30):
        return None
    return Solution((weights,), bias, 0.0, 0.0, weights.flatten(1).T)


def is_linear(blocks: Sequence[nn.Module], activation: str | None) -> bool:
    """Whether no module in blocks is an activation, but the one at the end of the last. Functions are not seen."""
    last = None if activation is None else dict(blocks[-1].named_modules()).get(activation)
    return not any(is_activation(each) and each is not last for block in blocks for each in block.modules())


def _in_float64(blocks: Sequence[nn.Module], activation: str | None) -> nn.Module | None:
    """The blocks without what stands at the end of the last; None where that cannot be taken off, or there is nothing
    with weights."""
    made = [copy.deepcopy(each).double().eval() for each in blocks]
    if activation is not None:
        if activation not in dict(made[-1].named_modules()):
            return None
        made[-1].set_submodule(activation, nn.Identity())
    whole = nn.Sequential(*made)
    return whole if any(each.is_floating_point() for each in whole.parameters()) else None


def _kernel(whole: nn.Module, form: Form, device: torch.device) -> Tensor | None:
    """By what each output in the middle of a map, larger than all windows, depends on; None where that is more than the
    window of the form."""
    (c_in, c_out), window = form.channels, map_of(form).window
    middle = form.kernel // 2 + 1
    side = (2 * middle + 1) * form.stride + form.kernel
    first = middle * form.stride - window.before(0, side)
    taps = slice(first, first + form.kernel)
    found = []
    for outputs in torch.split(torch.arange(c_out, device=device), _AT_ONCE):
        x = torch.zeros(len(outputs), c_in, side, side, dtype=torch.float64, device=device, requires_grad=True)
        with torch.enable_grad():
            out = whole(x)
            if out.shape[1] != c_out or min(out.shape[2:]) <= middle:
                return None
            each = torch.arange(len(outputs), device=device)
            (slope,) = torch.autograd.grad(out[each, outputs, middle, middle].sum(), x)
        found.append(slope[:, :, taps, taps].clone())
        slope[:, :, taps, taps] = 0
        if slope.abs().max() > _ROUNDING * found[-1].abs().max():
            return None
    return torch.cat(found)


def _border(constant: Tensor, window: Window, sides: tuple[int, int]) -> Tensor:
    """What each tap of a window on ones with zeros around has to give, so that together they are ``constant``."""
    ones = window.padded(torch.ones(1, 1, *sides, dtype=constant.dtype, device=constant.device))
    seen = functional.unfold(ones, window.kernel, stride=window.stride)[0].T  # (pixels, taps)
    values = constant[0].flatten(1).T  # (pixels, channels)
    taps: Tensor = torch.linalg.pinv(seen) @ values
    return taps.T.reshape(-1, *window.kernel)
