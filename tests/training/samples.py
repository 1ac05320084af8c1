"""A small real network for digits, and whether two states are equal to the bit."""

from __future__ import annotations

from typing import Any

import torch

from nat_plugin.ir import Cell, Edge, Network, NetworkSize, Node, Op, cell_stack

OPS = tuple(map(Op.parse, ["null", "skip", "max_pool_3x3", "sep_conv_3x3", "conv_1x1"]))


def cell(ops: str, level: int = 0) -> Cell:
    """Two nodes with two inputs each, concatenated; ``ops`` names the four ops in order."""
    ends = [(0, 2), (1, 2), (1, 3), (2, 3)]
    edges = (
        Edge(source, target, Op.parse(op), f"{level}/{number}", OPS)
        for number, ((source, target), op) in enumerate(zip(ends, ops.split(), strict=True))
    )
    return Cell(2, (Node(level), Node(level)), tuple(edges), (2, 3), project=True)


def network(
    normal: str = "conv_1x1 sep_conv_3x3 skip max_pool_3x3",
    reduce: str = "max_pool_3x3 skip skip sep_conv_3x3",
    channels: int = 8,
) -> Network:
    """Three cells for digits."""
    return cell_stack(cell(normal), cell(reduce, 1), NetworkSize(input=(1, 8, 8), classes=10), channels, 3)


def same(first: Any, second: Any) -> bool:
    """Whether two states are equal to the bit."""
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[name], second[name]) for name in first)
    if isinstance(first, list):
        return len(first) == len(second) and all(map(same, first, second))
    return bool(first == second)
