"""Statistics of the gradients of the loss at initialisation, over a few batches."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

TINY = 1e-30


def gradient_norm(gradients: Sequence[Sequence[Tensor]]) -> Tensor:
    """The logarithm of the norms of the gradients of all weights, added up; the mean over the batches."""
    norms = [torch.stack([each.norm() for each in batch]).sum() for batch in gradients]
    return torch.stack(norms).mean().clamp(min=TINY).log()


def snip(weights: Sequence[Tensor], gradients: Sequence[Sequence[Tensor]]) -> Tensor:
    """SNIP (Lee et al. 2019): the logarithm of what removing each weight by itself would change of the loss, by its
    gradient, added up; the mean over the batches."""
    sums = [
        torch.stack([(weight.detach() * each).abs().sum() for weight, each in zip(weights, batch, strict=True)]).sum()
        for batch in gradients
    ]
    return torch.stack(sums).mean().clamp(min=TINY).log()


def zico(gradients: Sequence[Sequence[Tensor]]) -> Tensor:
    """ZiCo (Li et al. 2023): of each layer the logarithm of the mean size of its gradients over their deviation between
    batches, added up over its weights; the sum over the layers."""
    layers, count = [], len(gradients)
    for batches in zip(*gradients, strict=True):
        mean, size, variance = (torch.zeros_like(batches[0]) for _ in range(3))
        for each in batches:
            mean.add_(each, alpha=1 / count)
            size.add_(each.abs(), alpha=1 / count)
        for each in batches:
            variance.add_((each - mean).square_(), alpha=1 / count)
        # Weights without a gradient, or with the same one in all batches, are left out, as by its authors.
        layers.append(torch.where(variance == 0, 0.0, size * variance.clamp(min=TINY).rsqrt()).sum())
    sums = torch.stack(layers)
    return torch.where(sums == 0, 0.0, sums.clamp(min=TINY).log()).sum() if layers else torch.zeros(())


def jacobian(gradients: Sequence[Tensor]) -> Tensor:
    """How differently the images (N, C, H, W) of a batch pull at the loss: the score of the Jacobian covariance (Mellor
    et al. 2020), of the gradients by the images; the mean over the batches."""
    found = []
    for batch in gradients:
        rows = batch.flatten(1).double()
        rows = rows - rows.mean(1, keepdim=True)
        rows = rows / rows.norm(dim=1, keepdim=True).clamp(min=TINY)
        values = torch.linalg.eigvalsh(torch.nan_to_num(rows @ rows.T)).clamp(min=0) + 1e-5
        found.append(torch.where(rows.isfinite().all(), -(values.log() + 1 / values).sum(), torch.nan))
    return torch.stack(found).mean()
