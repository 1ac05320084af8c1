"""How evenly gradients pass from block to block."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from nat_plugin.training.seeds import generator

STEPS = 10
"""Of the power iteration."""


def trainability(maps: Sequence[Tensor], seed: int) -> Tensor:
    """AZ-NAS (Lee and Ham 2024): how near the largest singular value of the Jacobian of each block is to 1, estimated
    by passing random signs back through it; the mean over the blocks, at most 0.

    ``maps`` (N, C, H, W) are the outputs of consecutive blocks, with their graph, which stays.
    """
    if len(maps) < 2:
        return torch.zeros(())
    sizes = [each.numel() for each in maps[1:]]
    drawn = torch.randint(2, (sum(sizes),), generator=generator(seed, "signs")) * 2 - 1
    scores = []
    for before, after, row in zip(maps, maps[1:], torch.split(drawn.to(maps[0]), sizes), strict=False):
        signs = row.view(after.shape)
        (passed,) = torch.autograd.grad(after, before, signs, retain_graph=True, allow_unused=True)
        if passed is not None:  # None: the one does not read the other
            largest = _largest_singular(signs, passed)
            scores.append(2 - largest - 1 / (largest + 1e-6))
    return torch.stack(scores).mean() if scores else torch.zeros(())


def _largest_singular(signs: Tensor, passed: Tensor) -> Tensor:
    """Of the mean over images and places of what comes back (N, C, H, W) by what was sent (N, C', H', W')."""
    if passed.shape[2:] != signs.shape[2:]:
        passed = _spread(passed, signs.shape[2], signs.shape[3])
    rows = signs.permute(0, 2, 3, 1).flatten(0, 2)
    columns = passed.permute(0, 2, 3, 1).flatten(0, 2)
    matrix = columns.T @ rows / len(rows)
    vector = torch.ones(matrix.shape[1], dtype=matrix.dtype, device=matrix.device)
    for _ in range(STEPS):
        vector = F.normalize(matrix.T @ (matrix @ vector), dim=0)
    largest: Tensor = (matrix @ vector).norm()
    return largest


def _spread(passed: Tensor, height: int, width: int) -> Tensor:
    """The pixels that fall to each place of a smaller (or larger) map, side by side as channels."""
    down, across = -(-passed.shape[2] // height), -(-passed.shape[3] // width)
    padded = F.pad(passed, (0, across * width - passed.shape[3], 0, down * height - passed.shape[2]))
    images, channels = passed.shape[:2]
    parts = padded.reshape(images, channels, height, down, width, across)
    return parts.permute(0, 1, 3, 5, 2, 4).flatten(1, 3)
