"""Dead operations, the canonical form, and one key for all networks that compute the same."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeAlias

from nat_plugin.errors import NATError
from nat_plugin.ir.layers import Conv, FactorizedReduce, Norm, Opaque, SqueezeExcite
from nat_plugin.ir.network import Cell, Network
from nat_plugin.ir.ops import NULL, Role, Site, op_kind


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
    return all(live(network.by_name[placement.cell]).output for placement in network.placements)


def canonical_cell(cell: Cell) -> Cell:
    """Dead ops become null (fixed edges too, which then cost nothing); nodes that get nothing leave the output.
    Raises NATError if nothing is left."""
    alive = live(cell)
    if not alive.output:
        raise NATError("no operation leads from an input of the cell to its output")
    if all(alive.edges) and all(alive.nodes) and alive.output == cell.output:
        return cell
    edges = tuple(
        edge if keep or edge.op.is_null else replace(edge, op=NULL)
        for edge, keep in zip(cell.edges, alive.edges, strict=True)
    )
    inner = zip(cell.nodes, alive.nodes[cell.inputs :], strict=True)
    nodes = tuple(node if keep or not node.norm else replace(node, norm=False) for node, keep in inner)
    return replace(cell, nodes=nodes, edges=edges, output=alive.output)


def canonical(network: Network) -> Network:
    """The network without dead operations.

    Ensures: computes the same; no more parameters or MACs; every edge that is not null is live. Raises NATError if a
    cell's output does not depend on its inputs.
    """
    placed = {placement.cell for placement in network.placements}
    return network.with_cells((name, canonical_cell(cell)) for name, cell in network.cells if name in placed)


_Terms: TypeAlias = tuple[tuple["_Term", int], ...]


class _Term:
    """A value inside a cell: an input, an op applied to a sum of terms, or a norm of one."""

    __slots__ = ("color", "label", "source")

    def __init__(self, label: str, source: _Terms) -> None:
        self.label, self.source, self.color = label, source, ""


def _digest(*parts: object) -> str:
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()


@lru_cache(maxsize=256)
def _has_weights(kind: str, text: str) -> bool:
    del text
    site = Site(16, 16, 1, 8, 8)
    values = {"k": 3, "e": 2, "se": 0, "name": "x", "params": 1, "macs": 1}
    weighted = (Conv, FactorizedReduce, Norm, SqueezeExcite, Opaque)
    return any(isinstance(layer, weighted) for layer in op_kind(kind).layers(values, site))


def _terms_of(cell: Cell) -> tuple[list[_Term], list[_Terms]]:
    """The weighted values of a cell and, for every output node, the sum of terms that it is.

    A plain skip passes its source's terms on, a null adds none, and ops without weights on the same source are one.
    """
    alive = live(cell)
    terms = [_Term(f"input {number}", ()) for number in range(cell.inputs)]
    sums: list[Counter[_Term]] = [Counter({term: 1}) for term in terms] + [Counter() for _ in cell.nodes]
    levels = [0] * cell.inputs + [node.level for node in cell.nodes]
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
        stride = levels[edge.target] - levels[edge.source]
        channels = "" if edge.target < cell.inputs else str(cell.nodes[edge.target - cell.inputs].channels or "")
        if edge.op.role is Role.SKIP and stride == 0 and not op_kind(edge.op.kind).layers(
            edge.op.values, Site(16, 16, 1, 8, 8)
        ):
            sums[edge.target].update(sums[edge.source])
            continue
        label = f"{edge.op} /{2**stride} {channels}"
        source = frozenset(sums[edge.source].items())
        term = None if _has_weights(edge.op.kind, str(edge.op)) or stride else plain.get((label, source))
        if term is None:
            term = _Term(label, tuple(sums[edge.source].items()))
            terms.append(term)
            plain[label, source] = term
        sums[edge.target][term] += 1
    for node in alive.output:
        close(node)
    return terms, [tuple(sums[node].items()) for node in alive.output]


@lru_cache(maxsize=65536)
def cell_key(cell: Cell) -> str:
    """Equal for cells that compute the same with the same weights: independent of node numbers, of the order of edges,
    of dead ops, nulls, and of plain skips between sums. (Values are told apart by iterated colouring, from sources
    and from uses; equal colours are taken in order of discovery. The key itself spells the whole structure, so equal
    keys always mean equal cells.)"""
    terms, outputs = _terms_of(cell)
    for term in terms:
        term.color = _digest(term.label)
    for _ in range(len(terms)):
        uses: dict[_Term, list[object]] = {term: [] for term in terms}
        for term in terms:
            for source, count in term.source:
                uses[source].append((term.color, count))
        for position, output in enumerate(outputs):
            for source, count in output:
                uses[source].append((position, count))
        colors = [
            _digest(term.color, sorted((s.color, n) for s, n in term.source), sorted(map(repr, uses[term])))
            for term in terms
        ]
        settled = len(set(colors)) == len({term.color for term in terms})
        for term, color in zip(terms, colors, strict=True):
            term.color = color
        if settled:
            break
    names: dict[_Term, int] = {}
    lines: list[object] = []

    def name(term: _Term) -> int:
        if term not in names:
            source = spell(term.source)
            names[term] = len(names)
            lines.append((term.label, source))
        return names[term]

    def spell(source: _Terms) -> list[tuple[int, int]]:
        return [(name(term), count) for term, count in sorted(source, key=lambda item: (item[0].color, item[1]))]

    spelled = [sorted(spell(output)) for output in outputs]
    return _digest(cell.inputs, cell.project, lines, spelled)


def key(network: Network) -> str:
    """One text for all networks that compute the same: cells by what they compute, and the fixed parts."""
    placed = {placement.cell for placement in network.placements}
    cells = {name: cell_key(cell) for name, cell in network.cells if name in placed}
    places = [(cells[placement.cell], placement.channels, placement.sources) for placement in network.placements]
    return _digest(places, network.stem, network.head, network.input)
