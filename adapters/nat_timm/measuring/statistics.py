"""Running statistics of batch norms, measured anew: after a move those of the original fit no more."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def norms(model: nn.Module) -> list[_BatchNorm]:
    """The batch norms that keep running statistics."""
    return [each for each in model.modules() if isinstance(each, _BatchNorm) and each.track_running_stats]


@torch.no_grad()
def recalibrate(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Running statistics become the plain averages over ``batches``, (N, C, H, W) each, with all else in evaluation
    mode, as it is left. A model without batch norms, or no batch, changes nothing."""
    model.eval()
    found = norms(model)
    if not found:
        return
    momenta = [norm.momentum for norm in found]
    first = True
    for x in batches:
        if first:
            for norm in found:
                norm.reset_running_stats()
                norm.momentum, norm.training = None, True
            first = False
        model(x)
    for norm, momentum in zip(found, momenta, strict=True):
        norm.momentum = momentum
    model.eval()
