"""Two cells of the IR as a genotype: in the very form of the one that they came from, or in a new one."""

from __future__ import annotations

from collections.abc import Mapping

from nat_darts.cells import Genotype, parse
from nat_darts.document import read_document
from nat_darts.entries import INPUTS, put_concat, put_ops
from nat_darts.ops import NAT, STOCK, Dialect
from nat_darts.skeleton import CELL_NAMES
from nat_plugin import NATError
from nat_plugin.extending import Literal
from nat_plugin.ir import Cell, Network, Node


def genotype_cells(network: Network) -> dict[str, Cell]:
    """The normal and the reduction cell of a network. NATError if it has none that a genotype can say."""
    cells = {name: network.by_name.get(name) for name in CELL_NAMES}
    found = {name: cell for name, cell in cells.items() if cell is not None}
    for level, name in enumerate(CELL_NAMES):
        cell = found.get(name)
        if cell is None or cell.inputs != INPUTS or not cell.project or any(n != Node(level) for n in cell.nodes):
            raise NATError(f"a genotype cannot represent this network: it has no plain cell '{name}' of two inputs")
        if min(cell.output) < INPUTS:
            raise NATError(f"a genotype cannot represent that cell '{name}' has an input of its own in the output")
    return found


def rewritten(genotype: Genotype, cells: Mapping[str, Cell]) -> str:
    """The text of the genotype with the ops and outputs of ``cells``, everything else to the letter as it stands.

    Pairs do not name their nodes: where they would now be counted to the wrong ones (the last node left the output),
    the result has triples instead. NATError for an op without a name, or cells with other edges.
    """
    dialect, null = genotype.dialect, genotype.null
    values, paths = genotype.document.values, genotype.document.paths
    patches = genotype.document.patches()
    for name, cell in cells.items():
        entries = genotype.entries[name]
        keys = [f"{name}/{index}" for index in range(len(entries.entries))]
        by_key = {edge.key: edge for edge in cell.edges}
        if len(cell.edges) != len(keys) or sorted(by_key) != sorted(keys):
            raise NATError(f"the network's cell '{name}' has other edges than the genotype that it came from")
        names = dict(zip((edge.key for edge in cell.edges), _names(cell, dialect, null or "none"), strict=True))
        left_out = {key for key, edge in by_key.items() if null is None and edge.op.is_null}
        put_ops(patches, paths[name], entries, [None if key in left_out else names[key] for key in keys])
        put_concat(patches, paths[f"{name}_concat"], values[f"{name}_concat"], cell.output)
    text = patches.render()
    if _says(text, cells, edges_left_out=null is None):
        return text
    patches = genotype.document.patches()
    for name, cell in cells.items():
        patches.put(paths[name], genotype.document.source(_triples(cell, dialect, null or "none")))
        patches.put(paths[f"{name}_concat"], genotype.document.source(list(cell.output)))
    return patches.render()


def fresh(cells: Mapping[str, Cell]) -> str:
    """A genotype for cells that came from another format: stock pairs if that can say them, else NAT's triples."""
    if all(STOCK.name_of(edge.op, "none") for cell in cells.values() for edge in cell.edges):
        named = {name: zip(_names(cell, STOCK, "none"), cell.edges, strict=True) for name, cell in cells.items()}
        text = _spelled(cells, {name: [(op, edge.source) for op, edge in pairs] for name, pairs in named.items()})
        if _says(text, cells):
            return text
    return _spelled(cells, {name: _triples(cell, NAT, "null") for name, cell in cells.items()})


def _spelled(cells: Mapping[str, Cell], entries: Mapping[str, Literal]) -> str:
    """As Python prints it."""
    fields = (f"{name}={entries[name]!r}, {name}_concat={list(cells[name].output)!r}" for name in CELL_NAMES)
    return f"Genotype({', '.join(fields)})"


def _names(cell: Cell, dialect: Dialect, null: str) -> list[str]:
    names = []
    for edge in cell.edges:
        name = dialect.name_of(edge.op, null)
        if name is None:
            raise NATError(f"the {dialect.name} dialect of genotypes has no name for op '{edge.op}' ({edge.key})")
        names.append(name)
    return names


def _triples(cell: Cell, dialect: Dialect, null: str) -> Literal:
    return [(op, e.source, e.target) for op, e in zip(_names(cell, dialect, null), cell.edges, strict=True)]


def _says(text: str, cells: Mapping[str, Cell], edges_left_out: bool = False) -> bool:
    """Whether reading a text gives ``cells``."""
    try:
        read = parse(read_document(text)).cells()
    except NATError:
        return False
    return all(
        _structure(read[name], edges_left_out) == _structure(cell, edges_left_out) for name, cell in cells.items()
    )


def _structure(cell: Cell, edges_left_out: bool) -> tuple[object, ...]:
    edges = [(e.source, e.target, e.op) for e in cell.edges if not (edges_left_out and e.op.is_null)]
    return cell.output, len(cell.nodes) if not edges_left_out else None, edges
