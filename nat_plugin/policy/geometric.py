"""What is used of torch-geometric, imported when it is first needed: it takes as long as half of torch, and much that
is refused needs no graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import nn


def scatter(source: torch.Tensor, index: torch.Tensor, dim: int, size: int, reduce: str) -> torch.Tensor:
    """``torch_geometric.utils.scatter``: sums (or means, maxima) of rows by where they belong."""
    from torch_geometric.utils import scatter

    found: torch.Tensor = scatter(source, index, dim, size, reduce)
    return found


def sage_conv(hidden: int) -> nn.Module:
    """A relation between two kinds of vertices: sums of their neighbours through one linear layer."""
    from torch_geometric.nn import SAGEConv

    found: nn.Module = SAGEConv((hidden, hidden), hidden, aggr="sum", root_weight=False, bias=False)
    return found


def gcn_conv(inputs: int, outputs: int) -> nn.Module:
    """The graph convolution of the paper: the directed adjacency as it is, without self-connections."""
    from torch_geometric.nn import GCNConv

    found: nn.Module = GCNConv(inputs, outputs, bias=False, normalize=False, add_self_loops=False)
    return found
