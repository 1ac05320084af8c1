"""Fewer hidden channels with inherited weights: the important ones stay, in every layer that has them."""

from __future__ import annotations

from collections.abc import Sequence
from math import lcm, pi, sqrt

import torch
from torch import Tensor, nn

from nat_timm.reading.parts import squeeze_layers


def shrink_hidden(modules: Sequence[nn.Module], keep: int) -> None:
    """Keep ``keep`` channels between the first module, which makes them, and the last, which reads them; the modules
    between have as many in as out. In place. ValueError where that cannot be."""
    producer, between, consumer = modules[0], modules[1:-1], modules[-1]
    if len(modules) < 2 or not _is_dense(producer) or not _is_dense(consumer):
        raise ValueError("hidden channels go from one dense layer to another")
    hidden = _weight(producer).shape[0]
    if _weight(consumer).shape[1] != hidden:
        raise ValueError(f"the first layer makes {hidden} channels, the last one reads {_weight(consumer).shape[1]}")
    together = 1
    for module in between:
        if isinstance(module, nn.Conv2d):
            if module.groups == 1 or module.in_channels != hidden or module.out_channels != hidden:
                raise ValueError(f"a convolution between has not {hidden} grouped channels")
            together = lcm(together, hidden // module.groups)
        elif not _has_channels(module, hidden):
            raise ValueError(f"a {type(module).__name__} between has not {hidden} channels")
    if not 0 < keep <= hidden or keep % together:
        raise ValueError(f"of {hidden} channels in groups of {together}, {keep} cannot be kept")
    index = _most_important(producer, between, consumer, keep, together)
    _slice_rows(producer, index, hidden)
    for module in between:
        _slice_between(module, index, hidden)
    _slice_columns(consumer, index)


def importance(producer: nn.Module, between: Sequence[nn.Module], consumer: nn.Module) -> Tensor:
    """How much each hidden channel matters: the size of the weights that read it, times the size of its values.

    With a norm before the activation that size follows from its scale and shift: the root mean square of ``relu(u)``
    for u from N(shift, scale^2), which other activations are near. Without one it is taken to be the size of the
    weights that make it. Measured on EfficientNet-Lite0 with ImageNet weights, this changes the logits half as much as
    the scale alone does (tests/adapters/timm/test_timm_pretrained.py).
    """
    read: Tensor = _weight(consumer).detach().float().transpose(0, 1).flatten(1).norm(dim=1)
    for module in reversed(between):
        scale, shift = getattr(module, "weight", None), getattr(module, "bias", None)
        if isinstance(module, nn.Conv2d) or not isinstance(scale, Tensor) or scale.numel() != len(read):
            continue
        spread = scale.detach().float().flatten().abs().clamp(min=1e-8)
        mean = shift.detach().float().flatten() if isinstance(shift, Tensor) else torch.zeros_like(spread)
        ratio = mean / spread
        above = 0.5 * torch.erfc(-ratio / sqrt(2))
        density = torch.exp(-ratio.square() / 2) / sqrt(2 * pi)
        size: Tensor = (mean.square() + spread.square()) * above + mean * spread * density
        return read.mul(size.clamp(min=0).sqrt())
    return read.mul(_weight(producer).detach().float().flatten(1).norm(dim=1))


def _most_important(
    producer: nn.Module, between: Sequence[nn.Module], consumer: nn.Module, keep: int, together: int
) -> Tensor:
    """The numbers of the channels that stay, ascending; channels of a group stay together."""
    weight = _weight(producer)
    if weight.is_meta:
        return torch.arange(keep, device="meta")
    score = importance(producer, between, consumer).view(-1, together).sum(1)
    best = score.sort(descending=True, stable=True).indices[: keep // together].sort().values
    return (best[:, None] * together + torch.arange(together, device=best.device)).flatten()


def _weight(module: nn.Module) -> nn.Parameter:
    weight = module.weight
    assert isinstance(weight, nn.Parameter)
    return weight


def _is_dense(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and module.groups == 1)


def _has_channels(module: nn.Module, channels: int) -> bool:
    names = squeeze_layers(module)
    if names is not None:
        return bool(getattr(module, names[0]).in_channels == channels)
    return all(each.numel() == channels for each in module.parameters(recurse=False))


def _slice_rows(module: nn.Module, index: Tensor, channels: int) -> None:
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


def _slice_columns(module: nn.Module, index: Tensor) -> None:
    weight = _weight(module)
    module.weight = nn.Parameter(weight.detach().index_select(1, index), weight.requires_grad)
    for name in ("in_channels", "in_features"):
        if hasattr(module, name):
            setattr(module, name, len(index))


def _slice_between(module: nn.Module, index: Tensor, channels: int) -> None:
    names = squeeze_layers(module)
    if names is not None:
        _slice_columns(getattr(module, names[0]), index)
        _slice_rows(getattr(module, names[1]), index, channels)
        return
    if isinstance(module, nn.Conv2d):
        width = channels // module.groups
        _slice_rows(module, index, channels)
        module.in_channels, module.groups = len(index), len(index) // width
        return
    _slice_rows(module, index, channels)
