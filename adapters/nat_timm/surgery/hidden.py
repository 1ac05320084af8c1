"""Fewer hidden channels with inherited weights: the important ones stay, in every layer that has them."""

from __future__ import annotations

from collections.abc import Sequence
from math import lcm

import torch
from torch import Tensor, nn

from nat_timm.reading.parts import squeeze_layers
from nat_timm.surgery.slicing import slice_between, slice_columns, slice_rows, weight_of
from nat_timm.surgery.values import normed_size


def shrink_hidden(modules: Sequence[nn.Module], keep: int) -> None:
    """Keep ``keep`` channels between the first module, which makes them, and the last, which reads them; the modules
    between have as many in as out. In place. ValueError where that cannot be."""
    producer, between, consumer = modules[0], modules[1:-1], modules[-1]
    if len(modules) < 2 or not _is_dense(producer) or not _is_dense(consumer):
        raise ValueError("hidden channels go from one dense layer to another")
    hidden = weight_of(producer).shape[0]
    if weight_of(consumer).shape[1] != hidden:
        raise ValueError(f"the first layer makes {hidden} channels, the last one reads {weight_of(consumer).shape[1]}")
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
    slice_rows(producer, index, hidden)
    for module in between:
        slice_between(module, index, hidden)
    slice_columns(consumer, index)
    consumer.nat_read = index
    noted = noted_importance(consumer, hidden)
    if noted is not None:
        note_importance(consumer, noted[index])


def note_importance(consumer: nn.Module, values: Tensor) -> None:
    """What each channel that a layer reads is worth, (channels,), where more is known than its weights say."""
    consumer.nat_importance = values


def channels_read(consumer: nn.Module) -> Tensor | None:
    """Which channels a layer reads of those that it read before the last cut."""
    found = getattr(consumer, "nat_read", None)
    return found if isinstance(found, Tensor) else None


def noted_importance(consumer: nn.Module, hidden: int) -> Tensor | None:
    """What was noted of the channels that a layer reads now."""
    found = getattr(consumer, "nat_importance", None)
    if not isinstance(found, Tensor) or len(found) != hidden:
        return None
    return found.to(weight_of(consumer).device)


def importance(producer: nn.Module, between: Sequence[nn.Module], consumer: nn.Module) -> Tensor:
    """How much each hidden channel matters: what was noted (``note_importance``), else the size of the weights that
    read it, times the size of its values, which follows from the norm before the activation (``normed_size``). Without
    one it is taken to be the size of the weights that make it."""
    noted = noted_importance(consumer, weight_of(consumer).shape[1])
    if noted is not None:
        return noted
    read: Tensor = weight_of(consumer).detach().float().transpose(0, 1).flatten(1).norm(dim=1)
    for module in reversed(between):
        size = normed_size(module)
        if size is not None and size.numel() == len(read):
            return read.mul(size)
    return read.mul(weight_of(producer).detach().float().flatten(1).norm(dim=1))


def _most_important(
    producer: nn.Module, between: Sequence[nn.Module], consumer: nn.Module, keep: int, together: int
) -> Tensor:
    """The numbers of the channels that stay, ascending; channels of a group stay together."""
    weight = weight_of(producer)
    if weight.is_meta:
        return torch.arange(keep, device="meta")
    score = importance(producer, between, consumer).view(-1, together).sum(1)
    best = score.sort(descending=True, stable=True).indices[: keep // together].sort().values
    return (best[:, None] * together + torch.arange(together, device=best.device)).flatten()


def _is_dense(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and module.groups == 1)


def _has_channels(module: nn.Module, channels: int) -> bool:
    names = squeeze_layers(module)
    if names is not None:
        return bool(getattr(module, names[0]).in_channels == channels)
    return all(each.numel() == channels for each in module.parameters(recurse=False))
