"""Running statistics of batch norms, measured anew: after a move those of the original fit no more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def norms(model: nn.Module) -> list[_BatchNorm]:
    """The batch norms that keep running statistics."""
    return [each for each in model.modules() if isinstance(each, _BatchNorm) and each.track_running_stats]


@torch.no_grad()
def recalibrate(
    model: nn.Module,
    batches: Iterable[Any],
    only: Sequence[_BatchNorm] | None = None,
    run: Callable[[Any], object] | None = None,
) -> None:
    """Running statistics (of ``only``, or of all) become the plain averages over ``batches``, (N, C, H, W) each, with
    all else in evaluation mode, as it is left. A model without batch norms, or no batch, changes nothing. ``run``: what
    is done with a batch, whatever that is then, where not the whole model is to be computed."""
    model.eval()
    compute = model if run is None else run
    found = norms(model) if only is None else only
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
        compute(x)
    for norm, momentum in zip(found, momenta, strict=True):
        norm.momentum = momentum
    model.eval()
