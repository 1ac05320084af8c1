"""A cell as a short program of modules between its nodes, run alike by fixed networks and by supernets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeAlias, TypeVar

import torch
from torch import Tensor

from nat_plugin.ir.canonical import live
from nat_plugin.ir.network import Cell, Edge

M = TypeVar("M")
Map: TypeAlias = Callable[[Tensor], Tensor]


class NodeStep(NamedTuple):
    """Apply a module to node ``source`` and put the result into node ``target``, or add it there."""

    source: int
    target: int
    adds: bool


def cell_steps(
    cell: Cell,
    projection: Callable[[int], M],
    op: Callable[[int, Edge], M],
    norm: Callable[[int], M],
    inputs: Sequence[int],
) -> list[tuple[NodeStep, M]]:
    """The steps of a cell with what the three functions give for them: the projections of ``inputs`` if the cell has
    any, then per node its live edges (number and edge) in order, then its norm."""
    alive = live(cell)
    steps = [(NodeStep(number, number, False), projection(number)) for number in inputs if cell.project]
    for number, node in enumerate(cell.nodes, start=cell.inputs):
        fed = False
        for index, (edge, keep) in enumerate(zip(cell.edges, alive.edges, strict=True)):
            if keep and edge.target == number:
                steps.append((NodeStep(edge.source, number, fed), op(index, edge)))
                fed = True
        if fed and node.norm:
            steps.append((NodeStep(number, number, False), norm(number)))
    return steps


def run_steps(steps: Iterable[tuple[NodeStep, Map]], nodes: dict[int, Tensor], output: Sequence[int]) -> Tensor:
    """Run a cell on the tensors of its inputs (N, C, H, W) in ``nodes``; its output nodes side by side."""
    for (source, target, adds), module in steps:
        value = module(nodes[source])
        nodes[target] = nodes[target] + value if adds else value
    return nodes[output[0]] if len(output) == 1 else torch.cat([nodes[node] for node in output], 1)
