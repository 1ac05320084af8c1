"""NAS-Bench-201 strings, and the network of that benchmark.

Sources: ``xautodl/models/cell_infers/tiny_network.py``, ``cells.py`` and ``xautodl/models/cell_operations.py`` of
D-X-Y/AutoDL-Projects. Four nodes, an op on every edge between them, 5 cells in each of three stages of 16, 32 and 64
channels, residual blocks of stride 2 between the stages; batch norm and ReLU before the pooling.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from nat_nasbench.texts import bare
from nat_plugin.adapter import Adapter, Published
from nat_plugin.errors import NATError
from nat_plugin.ir import NULL, SKIP, Cell, Edge, Frame, Network, Node, Op, Origin
from nat_plugin.ir.skeletons import residual_stages

CHANNELS, CELLS = 16, 15
OPS: Mapping[str, Op] = {
    "none": NULL,
    "skip_connect": SKIP,
    "nor_conv_1x1": Op.parse("conv_1x1"),
    "nor_conv_3x3": Op.parse("conv_3x3"),
    "avg_pool_3x3": Op.parse("avg_pool_3x3"),
}
"""In the order in which the benchmark numbers them."""
ENDS = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""Source and target of the edges, as they follow in a string."""
CELL = "cell"

FORM = "|op~0|+|op~0|op~1|+|op~0|op~1|op~2|"
MAX_CHARS = 1000

_NAMES = {op: name for name, op in OPS.items()}
_NUMBERS = {name: str(number) for number, name in enumerate(OPS)}
_EDGES = {
    (str(source), target): {
        name: Edge(source, target, op, f"{source}->{target}", tuple(OPS.values())) for name, op in OPS.items()
    }
    for source, target in ENDS
}
_NODES = (Node(),) * 3
_ENTRY = re.compile(r"([^|~+]*)~")
_CODES = "D-X-Y/AutoDL-Projects 94a149b33f55 xautodl/models/cell_searchs/genotypes.py"


class NB201Adapter(Adapter):
    """Cells of NAS-Bench-201, the topology space of NATS-Bench."""

    name = "nasbench201"
    summary = f"NAS-Bench-201 strings: {FORM}, the op of every edge between four nodes"
    version = "1"

    def recognises(self, text: str) -> bool:
        try:
            _parse(text)
        except NATError:
            return False
        return True

    def read(self, text: str, frame: Frame) -> Network:
        """The network has 16 channels and 15 cells unless ``frame`` says otherwise. A cell whose output does not depend
        on its input is read like any other. Raises NATError that names the node."""
        entries, around = _parse(text), residual_stages(CELL, frame, CHANNELS, CELLS)
        cell = _cell(tuple([entries[ends] for ends in _EDGES]))
        origin = Origin(self.name, self.version, text)
        return Network(((CELL, cell), *around.cells), around.placements, around.stem, around.head, frame.input, origin)

    def write(self, network: Network) -> str:
        """In the layout of the text that the network was read from. NATError for anything but a cell of this space."""
        ops = ops_of(network)
        text = spell(ops) if network.origin is None or network.origin.format != self.name else network.origin.payload
        by_ends = dict(zip(_EDGES, ops, strict=True))
        left = iter([by_ends[ends] for ends in _parse(text)])
        return _ENTRY.sub(lambda _entry: f"{next(left)}~", text)

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
        raise NATError(f"a NAS-Bench-201 string cannot say this network: it has no cell '{CELL}' of four nodes")
    if tuple((edge.source, edge.target) for edge in cell.edges) != ENDS:
        raise NATError("a NAS-Bench-201 string cannot say this network: its cell has other edges")
    for edge in cell.edges:
        if edge.op not in _NAMES:
            raise NATError(f"a NAS-Bench-201 string cannot say '{edge.op}' ({edge.key}); it has {', '.join(OPS)}")
    return [_NAMES[edge.op] for edge in cell.edges]


@lru_cache(maxsize=5**6)
def _cell(ops: tuple[str, ...]) -> Cell:
    """One for all networks that have it, and with it what is found out about it later."""
    return Cell(1, _NODES, tuple([_EDGES[ends][op] for ends, op in zip(_EDGES, ops, strict=True)]), (3,))


@lru_cache(maxsize=4096)  # what is read is often written soon, and many cells become the same few
def _parse(text: str) -> Mapping[tuple[str, int], str]:
    """The op of every edge by its ends, in the order of the text."""
    if len(text) > MAX_CHARS:
        raise NATError(f"a NAS-Bench-201 string is {FORM}, this text has {len(text):,} characters")
    nodes = bare(text).split("+")
    if len(nodes) != 3:
        raise NATError(f"a NAS-Bench-201 string is {FORM}: 3 nodes joined by '+', not {len(nodes)}")
    found: dict[tuple[str, int], str] = {}
    for target, node in enumerate(nodes, start=1):
        where = f"node {target}"
        entries = node.split("|")
        if len(entries) != target + 2 or entries[0] or entries[-1]:
            raise NATError(
                f"{where}: {target} op{'s'[: target - 1]}, with a bar before, after and between, as in {FORM}; "
                f"this is {node!r:.80}"
            )
        for entry in entries[1:-1]:
            op, tilde, source = entry.partition("~")
            if not tilde:
                raise NATError(f"{where}: an entry is an op, '~' and the node it comes from, not {entry!r:.40}")
            if op not in OPS:
                raise NATError(f"{where}: {op!r:.40} is not known; allowed: {', '.join(OPS)}")
            if (source, target) not in _EDGES:
                raise NATError(f"{where}: it cannot read node {source!r:.40}; it has 0 to {target - 1} before it")
            if (source, target) in found:
                raise NATError(f"{where}: it reads node {source} twice; every node before it once")
            found[source, target] = op
    return found
