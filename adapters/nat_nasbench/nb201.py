"""NAS-Bench-201 strings, and the network of that benchmark.

Sources: ``xautodl/models/cell_infers/tiny_network.py``, ``cells.py`` and ``xautodl/models/cell_operations.py`` of
D-X-Y/AutoDL-Projects. Four nodes, an op on every edge between them, 5 cells in each of three stages of 16, 32 and 64
channels, residual blocks of stride 2 between the stages; batch norm and ReLU before the pooling.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from nat_nasbench.forms201 import ENDS, FORM, NAMES, Spelled, find_cell, means_a_cell
from nat_plugin import Adapter, NATError
from nat_plugin.extending import Published, refusal
from nat_plugin.ir import NULL, SKIP, Cell, Edge, Network, NetworkSize, Node, Op, Origin, residual_stages

CHANNELS, CELLS = 16, 15
_MEANT = (NULL, SKIP, Op.parse("conv_1x1"), Op.parse("conv_3x3"), Op.parse("avg_pool_3x3"))
OPS: Mapping[str, Op] = dict(zip(NAMES, _MEANT, strict=True))
CELL = "cell"

_NAMES = {op: name for name, op in OPS.items()}
_NUMBERS = {name: str(number) for number, name in enumerate(OPS)}
_EDGES = {
    (source, target): {
        name: Edge(source, target, op, f"{source}->{target}", tuple(OPS.values())) for name, op in OPS.items()
    }
    for source, target in ENDS
}
_NODES = (Node(),) * 3
_CODES = "D-X-Y/AutoDL-Projects 94a149b33f55 xautodl/models/cell_searchs/genotypes.py"


class NB201Adapter(Adapter):
    """Cells of NAS-Bench-201, the topology space of NATS-Bench."""

    name = "nasbench201"
    summary = f"NAS-Bench-201 cells: {FORM}, the op of every edge between four nodes; tuples of NASLib and AutoDL"
    version = "1"

    def recognises(self, text: str) -> bool:
        return refusal(_parse, text) is None

    def near(self, text: str) -> str | None:
        return refusal(_parse, text) if means_a_cell(text) else None

    def read(self, text: str, size: NetworkSize) -> Network:
        """The network has 16 channels and 15 cells unless ``size`` says otherwise. A cell whose output does not depend
        on its input is read like any other. Raises NATError that names the node."""
        entries, around = _parse(text).entries, residual_stages(CELL, size, CHANNELS, CELLS)
        cell = _cell(tuple([entries[ends] for ends in _EDGES]))
        origin = Origin(self.name, self.version, text)
        return Network(((CELL, cell), *around.cells), around.placements, around.stem, around.head, size.input, origin)

    def write(self, network: Network) -> str:
        """In the layout of the text that the network was read from. NATError for anything but a cell of this space."""
        ops = ops_of(network)
        text = spell(ops) if network.origin is None or network.origin.format != self.name else network.origin.payload
        return _parse(text).rewritten(text, dict(zip(ENDS, ops, strict=True)))

    def published(self) -> Mapping[str, Published]:
        return _published()


def from_digits(digits: str) -> str:
    """The string of a cell whose ops are given by their numbers (the order of ``OPS``), one digit for each edge."""
    names = list(OPS)
    return spell([names[int(digit)] for digit in digits])


def digits_of(network: Network) -> str:
    """The reverse: the numbers of the ops of a network's cell. NATError if it is no cell of this space."""
    return "".join([_NUMBERS[op] for op in ops_of(network)])


_PUBLISHED = (
    ("NB201_ResNet", "303101", "ResNet_CODE"),
    ("NB201_AllConv3x3", "333333", "AllConv3x3_CODE"),
    ("NB201_AllConv1x1", "222222", "AllConv1x1_CODE"),
    ("NB201_AllIdentity", "111111", "AllIdentity_CODE"),
)


@lru_cache(maxsize=1)
def _published() -> Mapping[str, Published]:
    return {name: Published(from_digits(digits), f"{_CODES} {code}") for name, digits, code in _PUBLISHED}


def spell(ops: Sequence[str]) -> str:
    """The string of six ops, in the order of ``ENDS``."""
    a, b, c, d, e, f = ops
    return f"|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|"


def ops_of(network: Network) -> list[str]:
    """The names of the ops of a network's cell, in the order of ``ENDS``. NATError if it is no cell of this space."""
    cell = network.by_name.get(CELL)
    if cell is None or (cell.inputs, len(cell.nodes), cell.output) != (1, 3, (3,)):
        raise NATError(f"a NAS-Bench-201 string cannot represent this network: it has no cell '{CELL}' of four nodes")
    if tuple((edge.source, edge.target) for edge in cell.edges) != ENDS:
        raise NATError("a NAS-Bench-201 string cannot represent this network: its cell has other edges")
    for edge in cell.edges:
        if edge.op not in _NAMES:
            raise NATError(f"a NAS-Bench-201 string cannot represent '{edge.op}' ({edge.key}); it has {', '.join(OPS)}")
    return [_NAMES[edge.op] for edge in cell.edges]


@lru_cache(maxsize=5**6)
def _cell(ops: tuple[str, ...]) -> Cell:
    """One for all networks that have it, and with it what is found out about it later."""
    return Cell(1, _NODES, tuple([_EDGES[ends][op] for ends, op in zip(_EDGES, ops, strict=True)]), (3,))


@lru_cache(maxsize=4096)  # what is read is often written soon, and many cells become the same few
def _parse(text: str) -> Spelled:
    return find_cell(text)
