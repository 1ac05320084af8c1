"""Layers with some of their channels: what stays keeps its weights. In place."""

from __future__ import annotations

from torch import Tensor, nn

from nat_timm.reading.parts import squeeze_layers


def weight_of(module: nn.Module) -> nn.Parameter:
    weight = module.weight
    assert isinstance(weight, nn.Parameter)
    return weight


def slice_rows(module: nn.Module, index: Tensor, channels: int) -> None:
    """Keep rows of everything that has one for each channel."""
    for name, parameter in list(module.named_parameters(recurse=False)):
        axis = 0 if parameter.shape[0] == channels else parameter.dim() - 1
        if parameter.shape[axis] == channels:
            values = parameter.detach().index_select(axis, index)
            setattr(module, name, nn.Parameter(values, parameter.requires_grad))
    for name, buffer in list(module.named_buffers(recurse=False)):
        if buffer.dim() and buffer.shape[0] == channels:
            setattr(module, name, buffer.index_select(0, index))
    for name in ("out_channels", "out_features", "num_features", "num_channels"):
        if getattr(module, name, None) == channels:
            setattr(module, name, len(index))
    if getattr(module, "normalized_shape", None) == (channels,):
        module.normalized_shape = (len(index),)  # type: ignore[assignment]


def slice_columns(module: nn.Module, index: Tensor) -> None:
    weight = weight_of(module)
    module.weight = nn.Parameter(weight.detach().index_select(1, index), weight.requires_grad)
    for name in ("in_channels", "in_features"):
        if hasattr(module, name):
            setattr(module, name, len(index))


def slice_between(module: nn.Module, index: Tensor, channels: int) -> None:
    names = squeeze_layers(module)
    if names is not None:
        slice_columns(getattr(module, names[0]), index)
        slice_rows(getattr(module, names[1]), index, channels)
        return
    if isinstance(module, nn.Conv2d):
        width = channels // module.groups
        slice_rows(module, index, channels)
        module.in_channels, module.groups = len(index), len(index) // width
        return
    slice_rows(module, index, channels)
