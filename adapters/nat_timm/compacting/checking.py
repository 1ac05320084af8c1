"""Whether a model and what is wanted of it fit: found out before anything is built or trained."""

from __future__ import annotations

import torch
from torch import nn

from nat_plugin.errors import NATError
from nat_timm.training.loaders import Loader


def check_weights(model: nn.Module) -> None:
    """NATError for a model without weights, with weights that are no float32 numbers, or with none that may learn."""
    tensors = [*model.named_parameters(), *model.named_buffers()]
    for name, each in tensors:
        if each.is_meta:
            raise NATError(f"the model has no weights: '{name}' is on the device 'meta'; make it on a real device")
    for name, each in tensors:
        if each.is_floating_point() and each.dtype != torch.float32:
            raise NATError(
                f"'{name}' of the model is {str(each.dtype).removeprefix('torch.')}: give the model in float32 "
                "(model.float()); precision= says what is computed in"
            )
        if not torch.isfinite(each).all():
            raise NATError(f"'{name}' of the model holds values that are infinite or no numbers")
    if not any(each.requires_grad for each in model.parameters()):
        raise NATError("all weights of the model are frozen: nothing can learn; model.requires_grad_(True) thaws them")


def batches_of(loader: Loader) -> int:
    """How many batches a loader has. NATError where that cannot be told, or there is none."""
    try:
        found = len(loader)  # type: ignore[arg-type]
    except TypeError:
        raise NATError("train_loader has no len(), the number of its batches, which a schedule needs") from None
    if not found:
        raise NATError("train_loader has no batch: no images, or with drop_last fewer than a batch")
    return found
