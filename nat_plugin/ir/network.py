"""The cell IR: edges between nodes, cells, placements of cells, a network. Immutable, hashable, no torch.

Node numbers of a cell: its inputs are 0 to ``inputs - 1``, its inner nodes follow. Tensor numbers of a network: the
stages of the stem come first, then the outputs of the placements.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import NamedTuple

from nat_plugin.errors import NATError
from nat_plugin.ir.layers import Layer, Shape
from nat_plugin.ir.ops import Op
from nat_plugin.ir.values import CachedHash

MAX_LEVEL = 16


@dataclass(frozen=True)
class Node:
    """An inner node, the sum of its edges. ``level``: halvings below the inputs of the cell; ``channels``: of its own
    (None: those of the placement); ``norm``: a batch norm follows the sum."""

    level: int = 0
    channels: int | None = None
    norm: bool = False


@dataclass(frozen=True)
class Edge(CachedHash):
    """An op between two nodes.

    ``key`` says where it stands in the source format; ``choices`` are the ops which that format can say there (empty:
    the edge is fixed, no rule may change it).
    """

    source: int
    target: int
    op: Op
    key: str = ""
    choices: tuple[Op, ...] = field(default=(), hash=False)
    __hash__ = CachedHash.__hash__

    @property
    def editable(self) -> bool:
        return len(self.choices) > 1


@dataclass(frozen=True)
class Cell(CachedHash):
    """Inner nodes and edges (sorted by target; sources come before targets).

    ``output`` lists the nodes that are concatenated, one for a plain node. With ``project`` every input first goes
    through ReLU, pointwise convolution and norm (a factorized reduction where it is twice as large) to the channels of
    the placement, as in DARTS; those projections are part of the format and stay even where an input is not used.
    """

    inputs: int
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    output: tuple[int, ...]
    project: bool = False
    __hash__ = CachedHash.__hash__

    def __post_init__(self) -> None:
        if self.inputs < 1:
            raise NATError(f"a cell has one input or more, not {self.inputs}")
        for node in self.nodes:
            if not 0 <= node.level <= MAX_LEVEL or (node.channels is not None and node.channels < 1):
                raise NATError(f"a node has a level from 0 to {MAX_LEVEL} and one channel or more, not {node}")
        count = self.inputs + len(self.nodes)
        for edge in self.edges:
            if not (0 <= edge.source < edge.target < count and edge.target >= self.inputs):
                raise NATError(
                    f"edge {edge.source}->{edge.target}: an edge goes from an earlier node to an inner node "
                    f"(inputs are 0 to {self.inputs - 1}, inner nodes up to {count - 1})"
                )
        if [edge.target for edge in self.edges] != sorted(edge.target for edge in self.edges):
            object.__setattr__(self, "edges", tuple(sorted(self.edges, key=lambda edge: edge.target)))
        if not self.output or not all(0 <= node < count for node in self.output):
            raise NATError(f"a cell's output lists nodes from 0 to {count - 1}, not {list(self.output)[:20]}")

    def differs_in_ops_only(self, other: Cell) -> bool:
        """Whether nothing but the ops of editable edges is different."""
        own = (self.inputs, self.nodes, self.output, self.project, len(self.edges))
        return own == (other.inputs, other.nodes, other.output, other.project, len(other.edges)) and all(
            mine == its
            or (
                mine.editable
                and (mine.source, mine.target, mine.key, mine.choices) == (its.source, its.target, its.key, its.choices)
            )
            for mine, its in zip(self.edges, other.edges, strict=True)
        )

    def with_ops(self, ops: Mapping[int, Op]) -> Cell:
        """The same cell with other ops on some of its edges, by their index."""
        changed = {index: op for index, op in ops.items() if op != self.edges[index].op}
        if not changed:
            return self
        edges = tuple([
            _with_op(edge, changed[index]) if index in changed else edge for index, edge in enumerate(self.edges)
        ])  # fmt: skip
        found: Cell = self.copy_with(edges=edges)
        return found


@lru_cache(maxsize=65536)
def _with_op(edge: Edge, op: Op) -> Edge:
    """Kept, since thousands of networks differ in few edges."""
    found: Edge = edge.copy_with(op=op)
    return found


@dataclass(frozen=True)
class Placement(CachedHash):
    """A cell at some depth: its channels, the numbers of the tensors that it reads, and its ``level``: the halvings by
    which its inner nodes lie lower here than the cell says, so that one cell can stand at stride 1 and at stride 2."""

    cell: str
    channels: int
    sources: tuple[int, ...]
    level: int = 0
    __hash__ = CachedHash.__hash__


@dataclass(frozen=True)
class Head:
    """Layers, global average pooling, a linear classifier with bias; of no classes, nothing after the layers."""

    classes: int
    layers: tuple[Layer, ...] = ()


@dataclass(frozen=True)
class Origin:
    """Where a network came from: adapter, version of its format, and the untouched payload (JSON text)."""

    format: str
    version: str
    payload: str


class Slot(NamedTuple):
    """An editable edge: the name of its cell, and its index there."""

    cell: str
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody asks of a slot


@dataclass(frozen=True)
class Network(CachedHash):
    """Cells by name, their placements, the fixed stem (a tuple of stages, each a tensor) and head.

    ``input`` is (channels, height, width). Two networks are equal where their structure is; ``origin`` is not compared.
    """

    cells: tuple[tuple[str, Cell], ...]
    placements: tuple[Placement, ...]
    stem: tuple[tuple[Layer, ...], ...]
    head: Head
    input: Shape
    origin: Origin | None = field(default=None, compare=False)
    __hash__ = CachedHash.__hash__

    def __post_init__(self) -> None:
        if not self.stem:
            raise NATError("a network has a stem of one stage or more (a stage may be empty: the image itself)")
        if len(self.by_name) != len(self.cells):
            raise NATError("two cells of a network have the same name")
        _check(self.placements, len(self.stem), tuple([(name, cell.inputs) for name, cell in self.cells]))

    @cached_property
    def by_name(self) -> dict[str, Cell]:
        return dict(self.cells)

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """The editable edges, in a fixed order."""
        placed = {placement.cell for placement in self.placements}
        return tuple(
            Slot(name, index)
            for name, cell in self.cells
            if name in placed
            for index, edge in enumerate(cell.edges)
            if edge.editable
        )

    def edge(self, slot: Slot) -> Edge:
        return self.by_name[slot.cell].edges[slot.index]

    @cached_property
    def ops(self) -> tuple[Op, ...]:
        """The op of every slot."""
        return tuple(self.edge(slot).op for slot in self.slots)

    def with_ops(self, ops: Sequence[Op]) -> Network:
        """The same network with other ops in its slots (one per slot, in order)."""
        if len(ops) != len(self.slots):
            raise NATError(f"{len(ops)} ops for {len(self.slots)} slots")
        new: dict[str, dict[int, Op]] = {}
        for slot, op in zip(self.slots, ops, strict=True):
            new.setdefault(slot.cell, {})[slot.index] = op
        found = self.with_cells([(name, self.by_name[name].with_ops(each)) for name, each in new.items()])
        found.__dict__.setdefault("slots", self.slots)
        return found

    def with_cells(self, cells: Iterable[tuple[str, Cell]]) -> Network:
        """The same network with some of its cells replaced."""
        new = dict(cells)
        replaced = tuple((name, new.get(name, cell)) for name, cell in self.cells)
        if any(cell.inputs != self.by_name[name].inputs for name, cell in replaced):
            return replace(self, cells=replaced)
        found: Network = self.copy_with(cells=replaced)
        return found

    def differs_in_ops_only(self, other: Network) -> bool:
        """Whether nothing but the ops of editable edges is different."""
        own = (self.placements, self.stem, self.head, self.input)
        if own != (other.placements, other.stem, other.head, other.input) or len(self.cells) != len(other.cells):
            return False
        pairs = zip(self.cells, other.cells, strict=True)
        return self.slots == other.slots and all(
            name == its_name and (mine is its or mine.differs_in_ops_only(its))
            for (name, mine), (its_name, its) in pairs
        )


@lru_cache(maxsize=1024)
def _check(placements: tuple[Placement, ...], stages: int, inputs: tuple[tuple[str, int], ...]) -> None:
    """NATError for a placement that cannot be, given the inputs of all cells by name."""
    by_name = dict(inputs)
    for number, placement in enumerate(placements, start=stages):
        if placement.cell not in by_name:
            raise NATError(f"placement {number} names cell '{placement.cell}', which the network does not have")
        if len(placement.sources) != by_name[placement.cell]:
            raise NATError(f"placement {number} reads {len(placement.sources)} tensors, its cell has other inputs")
        if placement.channels < 1:
            raise NATError(f"placement {number} has {placement.channels} channels")
        if not 0 <= placement.level <= MAX_LEVEL:
            raise NATError(f"placement {number} has level {placement.level}; allowed: 0 to {MAX_LEVEL}")
        if not all(0 <= source < number for source in placement.sources):
            raise NATError(f"placement {number} reads a tensor that does not come before it")
