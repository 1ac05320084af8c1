"""Sums over the vertices of many graphs at once, and the two graph convolutions that are made of them.

torch-geometric has both; it takes as long to import as torch itself, which every command that uses a policy would pay.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

Tensor = torch.Tensor


def scatter(source: Tensor, index: Tensor, size: int, reduce: Literal["sum", "mean", "max"] = "sum") -> Tensor:
    """Rows (N, …) that have the same ``index`` (N,) as one: (``size``, …), zeros where there are none."""
    wide = index.view(-1, *[1] * (source.dim() - 1)).expand_as(source)
    whole = source.new_zeros(size, *source.shape[1:])
    if reduce == "max":
        return whole.scatter_reduce_(0, wide, source, "amax", include_self=False)
    whole.scatter_add_(0, wide, source)
    if reduce == "sum":
        return whole
    count = source.new_zeros(size).scatter_add_(0, index, source.new_ones(len(index))).clamp(min=1)
    return whole / count.view(-1, *[1] * (source.dim() - 1)).expand_as(whole)


class SumConv(nn.Module):
    """A relation between two kinds of vertices: sums of their neighbours through one linear layer (GraphSAGE's, without
    the vertex itself)."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.lin_l = nn.Linear(hidden, hidden, bias=False)
        self.lin_l.reset_parameters()  # once more, as torch-geometric has it: a seed gives the weights it always gave

    def forward(self, sources: Tensor, links: Tensor, count: int) -> Tensor:
        """Vertices (N, H) and pairs of numbers (2, E), from and to, into (``count``, H)."""
        found: Tensor = self.lin_l(scatter(sources.index_select(0, links[0]), links[1], count))
        return found


class PlainConv(nn.Module):
    """The graph convolution of the paper: the directed adjacency as it is, without self-connections."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.lin = nn.Linear(inputs, outputs, bias=False)
        nn.init.xavier_uniform_(self.lin.weight)

    def forward(self, x: Tensor, links: Tensor) -> Tensor:
        """(N, H) and pairs of numbers (2, E), from and to, into (N, H')."""
        return scatter(self.lin(x).index_select(0, links[0]), links[1], len(x))
