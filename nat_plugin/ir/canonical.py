"""Dead operations, the canonical form, and one key for all networks that compute the same."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeAlias

from nat_plugin.errors import NATError
from nat_plugin.ir.layers import Conv, FactorizedReduce, Layer, Norm, Opaque, SqueezeExcite
from nat_plugin.ir.network import Cell, Network, Slot
from nat_plugin.ir.ops import NULL, Op, Role, Site

_WEIGHTED = (Conv, FactorizedReduce, Norm, Opaque, SqueezeExcite)


@dataclass(frozen=True)
class Live:
    """What of a cell takes part in its output: per edge, per node, and the output nodes that have an input."""

    edges: tuple[bool, ...]
    nodes: tuple[bool, ...]
    output: tuple[int, ...]


@lru_cache(maxsize=65536)
def live(cell: Cell) -> Live:
    """An edge is live if it lies on a path of operations from an input to the output."""
    count = cell.inputs + len(cell.nodes)
    fed = [node < cell.inputs for node in range(count)]
    used = [edge.op.role is not Role.NULL for edge in cell.edges]
    for edge, usable in zip(cell.edges, used, strict=True):
        fed[edge.target] |= usable and fed[edge.source]
    output = tuple(node for node in cell.output if fed[node])
    wanted = [node in output for node in range(count)]
    edges = [False] * len(cell.edges)
    for index in reversed(range(len(cell.edges))):
        edge = cell.edges[index]
        edges[index] = used[index] and fed[edge.source] and wanted[edge.target]
        wanted[edge.source] |= edges[index]
    return Live(tuple(edges), tuple(f and w for f, w in zip(fed, wanted, strict=True)), output)


def is_connected(network: Network) -> bool:
    """Whether the output of every placed cell, and so of the network, depends on its input."""
    return all(live(network.by_name[name]).output for name in {placement.cell for placement in network.placements})


@lru_cache(maxsize=4096)
def canonical_cell(cell: Cell) -> Cell:
    """Dead ops become null (fixed edges too, which then cost nothing); nodes that get nothing leave the output.
    Raises NATError if nothing is left."""
    alive = live(cell)
    if not alive.output:
        raise NATError("no operation leads from an input of the cell to its output")
    if all(alive.edges) and all(alive.nodes) and alive.output == cell.output:
        return cell
    edges = tuple(
        edge if keep or edge.op.is_null else edge.copy_with(op=NULL)
        for edge, keep in zip(cell.edges, alive.edges, strict=True)
    )
    inner = zip(cell.nodes, alive.nodes[cell.inputs :], strict=True)
    nodes = tuple(node if keep or not node.norm else replace(node, norm=False) for node, keep in inner)
    found: Cell = cell.copy_with(nodes=nodes, edges=edges, output=alive.output)
    return found


def canonical(network: Network) -> Network:
    """The network without dead operations.

    Ensures: computes the same; no more parameters or MACs; every edge that is not null is live. Raises NATError if a
    cell's output does not depend on its inputs.
    """
    placed = {placement.cell for placement in network.placements}
    return network.with_cells((name, canonical_cell(cell)) for name, cell in network.cells if name in placed)


def live_ops(network: Network) -> tuple[tuple[Slot, Op], ...]:
    """Every slot with its op; null where that is dead."""
    alive = canonical(network)
    return tuple((slot, alive.edge(slot).op) for slot in network.slots)


_Terms: TypeAlias = tuple[tuple["_Term", int], ...]


class _Term:
    """A value inside a cell: an input, an op applied to a sum of terms, or a norm of one."""

    __slots__ = ("color", "label", "source")

    def __init__(self, label: str, source: _Terms) -> None:
        self.label, self.source, self.color = label, source, ""


def _digest(*parts: object) -> str:
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()


@lru_cache(maxsize=4096)
def _layers_at(op: Op, stride: int) -> tuple[Layer, ...] | None:
    """The layers of an op between equal channels; None if it cannot stand there."""
    site = Site(16, 16, stride, 8, 8)
    return op.layers(site) if op.legal(site) else None


def _has_weights(op: Op, stride: int) -> bool:
    layers = _layers_at(op, stride)
    return layers is None or any(isinstance(layer, _WEIGHTED) for layer in layers)


def _terms_of(cell: Cell, level: int) -> tuple[list[_Term], list[_Terms]]:
    """The weighted values of a cell and, for every output node, the sum of terms that it is, at the ``level`` of a
    placement.

    A plain skip passes its source's terms on, a null adds none, and ops without weights on the same source are one.
    """
    alive = live(cell)
    terms = [_Term(f"input {number}", ()) for number in range(cell.inputs)]
    sums: list[Counter[_Term]] = [Counter({term: 1}) for term in terms] + [Counter() for _ in cell.nodes]
    levels = [0] * cell.inputs + [node.level + level for node in cell.nodes]
    plain: dict[tuple[str, frozenset[tuple[_Term, int]]], _Term] = {}
    normed = [False] * len(sums)

    def close(node: int) -> None:
        if node >= cell.inputs and cell.nodes[node - cell.inputs].norm and not normed[node]:
            term = _Term("norm", tuple(sums[node].items()))
            terms.append(term)
            sums[node], normed[node] = Counter({term: 1}), True

    for edge, keep in zip(cell.edges, alive.edges, strict=True):
        if not keep:
            continue
        close(edge.source)
        stride = 2 ** (levels[edge.target] - levels[edge.source])
        channels = "" if edge.target < cell.inputs else str(cell.nodes[edge.target - cell.inputs].channels or "")
        if edge.op.role is Role.SKIP and stride == 1 and _layers_at(edge.op, 1) == ():
            sums[edge.target].update(sums[edge.source])
            continue
        label = f"{edge.op} /{stride} {channels}"
        source = frozenset(sums[edge.source].items())
        term = None if _has_weights(edge.op, stride) else plain.get((label, source))
        if term is None:
            term = _Term(label, tuple(sums[edge.source].items()))
            terms.append(term)
            plain[label, source] = term
        sums[edge.target][term] += 1
    for node in alive.output:
        close(node)
    return terms, [tuple(sums[node].items()) for node in alive.output]


@lru_cache(maxsize=65536)
def cell_key(cell: Cell, level: int = 0) -> str:
    """Equal for cells that compute the same with the same weights where they are placed at ``level``: independent of
    node numbers, of the order of edges, of dead ops, nulls, and of plain skips between sums.

    Values are told apart by colours, refined from their sources and from their uses; equal colours are taken in order
    of discovery. The key spells the whole structure, so equal keys always mean equal cells. (The reverse could fail
    only for cells with many interchangeable values, which are then evaluated twice.)"""
    terms, outputs = _terms_of(cell, level)
    _color(terms, outputs)
    return _digest(cell.inputs, cell.project, *_spell(outputs))


def _color(terms: list[_Term], outputs: list[_Terms]) -> None:
    uses: dict[_Term, list[tuple[_Term | int, int]]] = {term: [] for term in terms}
    for term in terms:
        for source, count in term.source:
            uses[source].append((term, count))
    for position, output in enumerate(outputs):
        for source, count in output:
            uses[source].append((position, count))

    for term in terms:  # sources come first, so one pass tells apart all that differ in what they are computed from
        term.color = _digest(term.label, sorted((source.color, count) for source, count in term.source))
    kinds = 0
    while kinds < len({term.color for term in terms}):
        kinds = len({term.color for term in terms})
        for term in reversed(terms):
            after = sorted(repr((use.color if isinstance(use, _Term) else use, count)) for use, count in uses[term])
            term.color = _digest(term.color, after)
        for term in terms:
            term.color = _digest(term.color, sorted((source.color, count) for source, count in term.source))


def _spell(outputs: list[_Terms]) -> tuple[list[object], list[object]]:
    """Every value in terms of numbered others, and the outputs, in an order that follows from the colours alone."""
    names: dict[_Term, int] = {}
    lines: list[object] = []

    def spelled(source: _Terms) -> list[tuple[int, int]]:
        return sorted((names[term], count) for term, count in source)

    def unnamed(source: _Terms) -> list[_Term]:
        return [term for term, _ in sorted(source, key=lambda item: (item[0].color, item[1])) if term not in names]

    for output in outputs:
        waiting = unnamed(output)[::-1]
        while waiting:  # depth first, by hand: a cell may be deeper than Python's stack
            missing = unnamed(waiting[-1].source)
            if missing:
                waiting += missing[::-1]
                continue
            term = waiting.pop()
            if term not in names:
                names[term] = len(names)
                lines.append((term.label, spelled(term.source)))
    return lines, [spelled(output) for output in outputs]


def key(network: Network) -> str:
    """One text for all networks that compute the same: cells by what they compute, and the fixed parts."""
    placed = {(placement.cell, placement.level) for placement in network.placements}
    cells = {(name, level): cell_key(network.by_name[name], level) for name, level in placed}
    places = [
        (cells[each.cell, each.level], each.channels, each.sources, *((each.level,) if each.level else ()))
        for each in network.placements
    ]
    return _digest(places, network.stem, network.head, network.input)


def same(one: Network, other: Network) -> bool:
    """Whether two networks have the same ``key``. Where all but the cells is equal, the cells alone are compared."""
    own = (one.placements, one.stem, one.head, one.input)
    if own != (other.placements, other.stem, other.head, other.input):
        return key(one) == key(other)
    placed = {(placement.cell, placement.level) for placement in one.placements}
    return all(cell_key(one.by_name[name], level) == cell_key(other.by_name[name], level) for name, level in placed)
