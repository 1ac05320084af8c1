"""Dense layers as what is fitted: convolutions, and linear layers that read the last axis."""

from __future__ import annotations

from typing import TypeAlias

import torch
from torch import Tensor, nn

from nat_timm.documents.forms import Form

DENSE = (nn.Conv2d, nn.Linear)
DenseLayer: TypeAlias = nn.Conv2d | nn.Linear


def dense(module: nn.Module) -> DenseLayer:
    assert isinstance(module, DENSE)
    return module


def form_of(layer: DenseLayer) -> Form:
    """What a dense layer is."""
    if isinstance(layer, nn.Linear):
        return Form((layer.in_features, layer.out_features))
    return Form(
        (layer.in_channels, layer.out_channels),
        kernel=layer.kernel_size[0],
        stride=layer.stride[0],
        same=_is_same(layer),
    )


def as_map(module: nn.Module, x: Tensor) -> Tensor:
    """What a module reads or gives as a feature map (N, C, H, W)."""
    return rows_as_map(x) if isinstance(module, nn.Linear) else x


def rows_as_map(x: Tensor) -> Tensor:
    """Values with channels last (N, ..., C), as a feature map."""
    return x.reshape(len(x), -1, x.shape[-1]).transpose(1, 2)[..., None]


def set_weights(layer: DenseLayer, weights: Tensor, bias: Tensor) -> None:
    """Give a layer weights of its own: those that it has may be shared with another model."""
    made = torch.empty_like(layer.weight).copy_(weights.view_as(layer.weight))
    layer.weight = nn.Parameter(made, layer.weight.requires_grad)
    if layer.bias is not None:
        layer.bias = nn.Parameter(torch.empty_like(layer.bias).copy_(bias), layer.bias.requires_grad)


def is_plain(layer: nn.Module) -> bool:
    """Whether a dense layer is as a form says it: a square window, padded by zeros on all sides alike or as TensorFlow
    does it."""
    if not isinstance(layer, nn.Conv2d):
        return type(layer) is nn.Linear
    kernel, stride = layer.kernel_size, layer.stride
    if layer.groups > 1 or kernel[0] != kernel[1] or not kernel[0] % 2:
        return False
    if stride[0] != stride[1] or layer.dilation != (1, 1):
        return False
    if type(layer) is nn.Conv2d:
        return layer.padding_mode == "zeros" and layer.padding == (kernel[0] // 2,) * 2
    return _is_same(layer)


def _is_same(conv: nn.Conv2d) -> bool:
    return type(conv).__name__ == "Conv2dSame"
