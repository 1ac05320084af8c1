"""A traced model as a network of the IR, and for every op of every edge the edits that it stands for.

Blocks are cells. A cell is a chain of what can be edited in its block, each with the cost counted for it, and a last
edge with all the rest; beside the chain runs the shortcut. What is in no block is in the head. So costs are sums over
edges whatever is chosen. Resolutions are nominal: halvings of the image.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from nat_plugin import NATError
from nat_plugin.ir import Cell, Cost, Edge, Head, Network, Node, Op, Opaque, Placement, Slot
from nat_timm.documents.edits import Edit
from nat_timm.moves.chains import Meanings, TensorPlace, links, place
from nat_timm.moves.ops import TIMM, timm_op
from nat_timm.reading.trace import Step, Trace
from nat_timm.reading.units import ModelUnit, units


@dataclass(frozen=True, eq=False)
class Reading:
    """A network, and what its ops mean: for every slot, the edits of each of its choices."""

    network: Network
    meanings: Mapping[Slot, Meanings]

    def ops(self, edits: Iterable[Edit], name: str) -> tuple[Op, ...]:
        """The op of every slot under ``edits``. NATError for an edit that is no choice of the model."""
        given = tuple(edits)
        ops, used = self._said(given)
        for edit in given:
            if edit not in used:
                raise NATError(f"{name}: the edit '{edit}' is not among those that are possible in this model")
        return ops

    def can_say(self, edits: Iterable[Edit]) -> bool:
        """Whether all of these edits are choices of the model, together."""
        given = frozenset(edits)
        return given == self._said(given)[1]

    def _said(self, edits: Iterable[Edit]) -> tuple[tuple[Op, ...], set[Edit]]:
        """The ops that say most of some edits, and the edits that they say."""
        wanted, used, ops = set(edits), set[Edit](), list[Op]()
        for slot in self.network.slots:
            said = [(op, meant) for op, meant in self.meanings[slot].items() if wanted.issuperset(meant)]
            op, meant = max(said, key=lambda item: len(item[1]))
            ops.append(op)
            used.update(meant)
        return tuple(ops), used

    def edits(self, network: Network) -> tuple[Edit, ...]:
        """What was changed in a network with the cells of this one. Of a block that is left out, or
        in whose place another operation stands, nothing else inside it counts."""
        by_cell: dict[str, list[Edit]] = {}
        for slot in self.network.slots:
            by_cell.setdefault(slot.cell, []).extend(self.meanings[slot].get(network.edge(slot).op, ()))
        found: list[Edit] = []
        for changes in by_cell.values():
            found += [edit for edit in changes if edit.op == "null"] or changes
        return tuple(found)


def read(trace: Trace, classes: int, name: str, fits: bool = False, made: frozenset[Edit] = frozenset()) -> Reading:
    """``fits``: with operations that are fitted in the place of blocks; ``made``: edits that have to be among what it
    can say. NATError where nothing can be edited, saying why."""
    builder = _Builder(trace, fits, made)
    for unit in units(trace):
        builder.add(unit)
    if not builder.meanings:
        raise NATError(f"{name}: nothing in this model can be edited: {_why(trace)}")
    return Reading(builder.network(classes), builder.meanings)


def _why(trace: Trace) -> str:
    kinds = sorted({type(module).__name__ for module in trace.modules.values()})
    attention = [kind for kind in kinds if "Attention" in kind]
    if attention:
        return f"its blocks are made of {', '.join(attention[:3])}; convolutional blocks are what can be edited"
    return f"it has no convolution, pool or residual block that is understood, but {', '.join(kinds[:5])}"


class _Builder:
    """Cells and placements in order of execution; tensor 0 is the image."""

    def __init__(self, trace: Trace, fits: bool, made: frozenset[Edit]) -> None:
        self.trace, self.fits, self.edits = trace, fits, made
        self.cells: list[tuple[str, Cell]] = []
        self.placements: list[Placement] = []
        self.tensors = [TensorPlace(trace.input[0], 0)]
        self.known: dict[Step, int] = {}
        self.meanings: dict[Slot, Meanings] = {}

    def add(self, unit: ModelUnit) -> None:
        start = place(self.trace, unit.reads[0], self.tensors[-1]) if unit.reads else self.tensors[-1]
        made = links(self.trace, unit, self.tensors[-1], self.fits, self.edits)
        source = self._source(unit, start)
        nodes = tuple(Node(node.level - start.level, node.channels) for node in made.nodes)
        cell = Cell(1, nodes, tuple(made.edges), (len(nodes),))
        self._append(unit.path, cell, made.nodes[-1], source)
        self.known[unit.output] = len(self.tensors) - 1
        for number, edge in enumerate(cell.edges):
            if edge.editable:
                self.meanings[Slot(unit.path, number)] = made.meanings[edge.key]

    def _append(self, name: str, cell: Cell, end: TensorPlace, source: int) -> None:
        self.cells.append((name, cell))
        self.placements.append(Placement(name, end.channels, (source,)))
        self.tensors.append(end)

    def _source(self, unit: ModelUnit, wanted: TensorPlace) -> int:
        """The tensor that a unit reads: what it does read where that is a tensor of the network, else the last one like
        it; if there is none, one is made without cost (sums and concatenations between blocks)."""
        for step in unit.reads:
            number = self.known.get(step)
            if number is not None and self.tensors[number] == wanted:
                return number
        for number in reversed(range(len(self.tensors))):
            if self.tensors[number] == wanted:
                return number
        above = max(number for number, found in enumerate(self.tensors) if found.level <= wanted.level)
        node = Node(wanted.level - self.tensors[above].level, wanted.channels)
        join = Edge(0, 1, timm_op("join", 0, 0), key=f"{unit.path}/join")
        self._append(f"{unit.path}/join", Cell(1, (node,), (join,), (1,)), wanted, above)
        return len(self.tensors) - 1

    def network(self, classes: int) -> Network:
        """With a head that costs what is in no cell."""
        bare = Network(tuple(self.cells), tuple(self.placements), ((),), Head(classes), self.trace.input)
        spent = _spent(bare)
        params, macs = self.trace.params - spent.params, self.trace.macs - spent.macs
        for channels in (
            self.tensors[-1].channels,
            1,
        ):  # a classifier smaller than a linear one must not count less than none
            linear = channels * classes
            rest = (params - linear - classes, macs - linear)
            if min(rest) >= 0:
                break
        return replace(bare, head=Head(classes, (Opaque("rest", rest, channels),)))


def _spent(network: Network) -> Cost:
    values = [edge.op.values for _, cell in network.cells for edge in cell.edges if edge.op.kind == TIMM.name]
    return Cost(sum(int(each["params"]) for each in values), sum(int(each["macs"]) for each in values))
