"""Which inputs of a linear map can go, where those that stay are fitted anew."""

from __future__ import annotations

import torch
from torch import Tensor

from nat_plugin.fitting.moments import Moments

RIDGE = 1e-6
"""Share of the mean square of an input, so that inputs which others say can go."""
AT_ONCE = 32
"""Of so many groups that are left one goes at each step."""


def elimination_order(moments: Moments, weights: Tensor, size: int = 1) -> Tensor:
    """The turn in which each group of ``size`` neighbouring inputs goes, (groups,), from 0.

    ``weights`` (inputs, outputs), with outputs in units in which their errors add up. At each step those groups go
    without which the outputs change least once the others make up for it by least squares: the optimal brain surgeon
    (Hassibi and Stork, 1993), which is exact for a linear map.
    """
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(moments.grown(RIDGE) / max(moments.rows, 1)))
    left, groups = weights.to(inverse), len(weights) // size
    order = torch.empty(groups, dtype=torch.int64, device=inverse.device)
    alive, turn = torch.arange(groups, device=inverse.device), 0
    while turn < groups:
        harms = _harms(inverse, left, size)
        gone = harms.argsort(stable=True)[: max(1, len(alive) // AT_ONCE)]
        order[alive[gone]] = torch.arange(turn, turn + len(gone), device=order.device)
        turn += len(gone)
        stays = torch.ones(len(alive), dtype=torch.bool, device=alive.device)
        stays[gone] = False
        alive, out, kept = alive[stays], _rows(gone, size), _rows(stays.nonzero()[:, 0], size)
        across = torch.linalg.solve(inverse[out][:, out], inverse[out][:, kept]).T
        left = left[kept] - across @ left[out]
        inverse = inverse[kept][:, kept] - across @ inverse[out][:, kept]
    return order


def _harms(inverse: Tensor, weights: Tensor, size: int) -> Tensor:
    """By how much the square of the outputs changes without each group."""
    groups = len(weights) // size
    own = inverse.view(groups, size, groups, size).diagonal(dim1=0, dim2=2).permute(2, 0, 1)
    parts = weights.view(groups, size, -1)
    found: Tensor = (parts * torch.linalg.solve(own, parts)).sum((1, 2))
    return found


def _rows(groups: Tensor, size: int) -> Tensor:
    return (groups[:, None] * size + torch.arange(size, device=groups.device)).flatten()
