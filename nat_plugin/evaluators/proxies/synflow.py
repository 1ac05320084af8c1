"""SynFlow: how much passes through a network, whatever the images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nat_plugin.evaluators.proxies.initial import weights_of
from nat_plugin.ir.layers import Shape

TINY = 1e-300
PASSED = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm, nn.LayerNorm, nn.ReLU6, nn.Hardswish, nn.SiLU, nn.GELU)
"""Layers that let everything pass here: norms would undo the sizes, and these activations saturate or bend."""


def synflow(module: nn.Module, shape: Shape) -> Tensor:
    """SynFlow (Tanaka et al. 2020): the logarithm of weights times gradients, added up, of all weights made positive,
    for an image of ones (C, H, W). In double precision, as sums grow with every layer.

    Uses the module up: its parameters are positive and double after it.
    """
    module.double().eval()
    with torch.no_grad():
        for each in module.parameters():
            each.abs_()
    weights = weights_of(module)
    hooks = [each.register_forward_hook(_pass) for each in module.modules() if isinstance(each, PASSED)]
    try:
        x = torch.ones(1, *shape, dtype=torch.float64, device=weights[0].device)
        gradients: Sequence[Tensor | None] = torch.autograd.grad(module(x).sum(), weights, allow_unused=True)
    finally:
        for hook in hooks:
            hook.remove()
    flows = [(w.detach() * g).sum() for w, g in zip(weights, gradients, strict=True) if g is not None]
    return torch.stack(flows).sum().clamp(min=TINY).log()


def _pass(module: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> Tensor:
    del module, output
    return inputs[0]
