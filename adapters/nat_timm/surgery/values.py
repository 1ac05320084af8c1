"""How large the values of channels are, as far as weights say."""

from __future__ import annotations

from math import pi, sqrt

import torch
from torch import Tensor, nn


def normed_size(module: nn.Module) -> Tensor | None:
    """The size of every channel behind a norm and an activation: the root mean square of ``relu(u)`` for u from
    N(shift, scale^2), which other activations are near. None where the module has no scale for each channel.

    Measured on EfficientNet-Lite0 with ImageNet weights, this changes the logits half as much as the scale alone does
    (tests/adapters/timm/test_timm_pretrained.py).
    """
    scale, shift = getattr(module, "weight", None), getattr(module, "bias", None)
    if isinstance(module, nn.Conv2d | nn.Linear) or not isinstance(scale, Tensor):
        return None
    spread = scale.detach().float().flatten().abs().clamp(min=1e-8)
    mean = shift.detach().float().flatten() if isinstance(shift, Tensor) else torch.zeros_like(spread)
    ratio = mean / spread
    above = 0.5 * torch.erfc(-ratio / sqrt(2))
    density = torch.exp(-ratio.square() / 2) / sqrt(2 * pi)
    size: Tensor = (mean.square() + spread.square()) * above + mean * spread * density
    return size.clamp(min=0).sqrt()
