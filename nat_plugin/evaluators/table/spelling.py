"""What tells networks of a table apart: cells as they are spelled, dead operations and all."""

from __future__ import annotations

from collections.abc import Hashable
from functools import lru_cache

from nat_plugin.ir import NULL, Cell, Network, Op


def spelled(network: Network) -> Hashable:
    """Equal for networks with the same ops on the same edges in the same surroundings, from whatever format: what an
    edge could become besides, and the order of a node's edges, make no difference."""
    return *surroundings(network), *[(name, _cell(cell)) for name, cell in network.cells]


def surroundings(network: Network) -> tuple[Hashable, ...]:
    """All of a network but its cells."""
    return network.input, network.stem, network.placements, network.head


@lru_cache(maxsize=65536)
def _cell(cell: Cell) -> Hashable:
    edges = sorted((edge.target, edge.source, _text(edge.op)) for edge in cell.edges)
    return cell.inputs, cell.nodes, cell.output, cell.project, tuple(edges)


@lru_cache(maxsize=65536)
def _text(op: Op) -> str:
    return str(op)


def rewritten(network: Network, wanted: Network) -> Network | None:
    """``network`` with the ops of another that has its edges, in whatever order and from whatever format; an edge that
    the other lacks becomes null. None if it has other edges, or other ops on those that cannot be changed."""
    if surroundings(network) != surroundings(wanted) or network.by_name.keys() != wanted.by_name.keys():
        return None
    cells = [(name, _rewritten(cell, wanted.by_name[name])) for name, cell in network.cells]
    return (
        network.with_cells([(name, cell) for name, cell in cells if cell]) if all(cell for _, cell in cells) else None
    )


@lru_cache(maxsize=65536)
def _rewritten(cell: Cell, wanted: Cell) -> Cell | None:
    if (cell.inputs, len(cell.nodes), cell.project) != (wanted.inputs, len(wanted.nodes), wanted.project):
        return None
    ops: dict[tuple[int, int], list[Op]] = {}
    for edge in reversed(wanted.edges):
        ops.setdefault((edge.source, edge.target), []).append(edge.op)
    made: dict[int, Op] = {}
    for index, edge in enumerate(cell.edges):
        left = ops.get((edge.source, edge.target))
        op = left.pop() if left else NULL
        if op != edge.op and not edge.editable:
            return None
        made[index] = op
    return cell.with_ops(made) if not any(ops.values()) else None
