"""ENAS micro strings: two cells of nodes, each ``index_1 op_1 index_2 op_2``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from nat_enas.integers import before_plus, is_mostly_integers, read_integers, with_integers
from nat_enas.ops import MICRO, REDUCE
from nat_enas.published import published
from nat_plugin import Adapter, NATError
from nat_plugin.extending import Published, refusal
from nat_plugin.ir import Cell, Edge, Network, NetworkSize, Node, Origin, at_level, cell_stack

CHANNELS, CELLS = 36, 17
"""``scripts/cifar10_micro_final.sh`` of melodyguan/enas: 15 layers and the two reductions between them."""
INPUTS = 2
MAX_NODES = 64
CELL_NAMES = ("normal", "reduce")


class MicroAdapter(Adapter):
    """Micro search space: a normal and a reduction cell as one row of integers."""

    name = "enas-micro"
    summary = "ENAS micro strings: index_1 op_1 index_2 op_2 for each node, the normal cell then the reduction cell"
    version = "1"

    def recognises(self, text: str) -> bool:
        return refusal(_read, text) is None

    def near(self, text: str) -> str | None:
        return refusal(_read, text) if is_mostly_integers(text) else None

    def read(self, text: str, size: NetworkSize) -> Network:
        """Around the cells stands the network of DARTS, of 36 channels and 17 cells unless ``size`` says otherwise.
        Raises NATError that names cell and node."""
        normal, reduce = _read(text)
        channels, depth = size.filled(CHANNELS, CELLS)
        origin = Origin(self.name, self.version, text)
        return cell_stack(normal, reduce, size, channels, depth, origin)

    def write(self, network: Network) -> str:
        """In the layout of the text that the network was read from, one cell a line for a network from elsewhere.

        NATError for a null, for any op but the five, and for cells that are not wired as ENAS wires them.
        """
        cells = [_cell(network, name) for name in CELL_NAMES]
        rows = [[number for edge in _entries(cell) for number in (edge.source, _number(edge))] for cell in cells]
        text = "\n".join(" ".join(map(str, row)) for row in rows)
        if network.origin is not None and network.origin.format == self.name:
            text = with_integers(network.origin.payload, [number for row in rows for number in row])
        for cell, again in zip(cells, _read(text), strict=True):
            if _structure(cell) != _structure(again):
                raise NATError("an ENAS string cannot represent this network: its cells have other edges or outputs")
        return text

    def published(self) -> Mapping[str, Published]:
        return published("micro")


def _read(text: str) -> tuple[Cell, Cell]:
    values = read_integers(text)
    half, rest = divmod(len(values), 2)
    if rest or half % 4:
        raise NATError(
            f"{len(values)} integers are not a micro string: it has 4 for each node (index_1 op_1 index_2 op_2), as "
            "many nodes in the normal as in the reduction cell"
        )
    if before_plus(text) not in (None, half):
        raise NATError("the '+' of a micro string stands between its two cells, which have the same number of nodes")
    if half // 4 > MAX_NODES:
        raise NATError(f"a cell of {half // 4} nodes is too large; at most {MAX_NODES} are read")
    normal, reduce = (_parse(values[i * half : (i + 1) * half], name) for i, name in enumerate(CELL_NAMES))
    return normal, _halved(reduce)


def _parse(values: Sequence[int], name: str) -> Cell:
    """One cell. What no node uses, inputs too, is concatenated; a node counts as used whatever the op on the way."""
    edges: list[Edge] = []
    for at in range(0, len(values), 2):
        node, (source, op) = INPUTS + at // 4, values[at : at + 2]
        where = f"{name} cell, node {node}"
        if source >= node:
            raise NATError(f"{where}: it cannot read node {source}; it has 0 to {node - 1} before it")
        if op >= len(MICRO):
            named = ", ".join(f"{number} {each}" for number, each in enumerate(MICRO))
            raise NATError(f"{where}: there is no op {op}; allowed: {named}")
        edges.append(Edge(source, node, MICRO[op], f"{name}/{at // 2}", MICRO))
    nodes = len(values) // 4
    used = {edge.source for edge in edges}
    output = tuple(node for node in range(INPUTS + nodes) if node not in used)
    return Cell(INPUTS, (Node(),) * nodes, tuple(edges), output, project=True)


def _halved(cell: Cell) -> Cell:
    """A reduction cell: an input in its output passes a factorized reduction of its own."""
    count = INPUTS + len(cell.nodes)
    direct = [node for node in cell.output if node < INPUTS]
    edges = [Edge(node, count + at, REDUCE, f"reduce/input {node}") for at, node in enumerate(direct)]
    output = tuple(count + direct.index(node) if node in direct else node for node in cell.output)
    whole = replace(cell, nodes=cell.nodes + (Node(),) * len(direct), edges=(*cell.edges, *edges), output=output)
    return at_level(whole, 1)


def _cell(network: Network, name: str) -> Cell:
    cell = network.by_name.get(name)
    if cell is None or cell.inputs != INPUTS or not cell.project:
        raise NATError(f"an ENAS string cannot represent this network: it has no cell '{name}' of two inputs")
    return cell


def _entries(cell: Cell) -> list[Edge]:
    return [edge for edge in cell.edges if edge.op != REDUCE]


def _number(edge: Edge) -> int:
    if edge.op not in MICRO:
        raise NATError(
            f"an ENAS string cannot represent '{edge.op}' ({edge.key}); it has {', '.join(map(str, MICRO))}; "
            "--extended (or convert --to network) writes network JSON, which can"
        )
    return MICRO.index(edge.op)


def _structure(cell: Cell) -> tuple[object, ...]:
    return cell.nodes, cell.output, [(edge.source, edge.target, edge.op) for edge in cell.edges]
