"""What a report shows of a network and of what became of it: drawings, operations that changed, where costs lie."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from nat_plugin.describing import describe
from nat_plugin.drawing import node_names, op_label, op_labels
from nat_plugin.ir import Network, Op
from nat_plugin.picture.svg import network_svg
from nat_plugin.reporting.inline import inline_drawing
from nat_plugin.reporting.page import (
    Column,
    Folded,
    PagePart,
    Picture,
    SideBySide,
    Table,
    TableCell,
    Text,
    count,
    shortened,
)
from nat_plugin.reporting.reading import Spread

MANY_EDGES = 300
"""Edges of a network that is drawn at most, and rows of a table of them."""
FEW_CELLS = 6
"""Of more cells (a model, block by block) the drawing is shown on demand."""
LONG = 60
"""Of the text of an op."""


@dataclass(frozen=True)
class EdgeChange:
    """An edge before and after; costs are over all places of its cell."""

    cell: str
    where: str
    key: str
    op: str
    params: int
    macs: int


def edges(network: Network) -> list[EdgeChange]:
    found = []
    for name, cell in describe(network)["cells"].items():
        names = node_names(network.by_name[name])
        for edge in cell["edges"]:
            label = op_label(Op.parse(edge["op"]))
            op = label if edge["live"] or edge["op"] == "null" else f"{label} (dead)"
            where = f"{names[edge['source']]} → {names[edge['target']]}"
            found.append(EdgeChange(name, where, edge["key"], op, edge["params"], edge["macs"]))
    return found


def too_large(network: Network) -> bool:
    """For a drawing."""
    return sum(len(network.by_name[placed].edges) for placed in {each.cell for each in network.placements}) > MANY_EDGES


def drawing(network: Network, before: Network | None, caption: str) -> Picture | Text:
    """A network; with ``before``, what was changed is marked."""
    if too_large(network):
        return Text(f"{caption}: over {MANY_EDGES:,} edges are too many for a drawing; nat show draws them as text.")
    said = f"{caption}; every operation is in the tables below"
    return Picture(caption, inline_drawing(network_svg(network, before)), said, links=True)


def changes(before: Network, after: Network) -> Iterator[PagePart]:
    """Both drawn side by side, then what changed, operation by operation."""
    drawn = SideBySide((drawing(before, None, "Before"),), (drawing(after, before, "After, with changes marked"),))
    if len(before.cells) > FEW_CELLS:
        yield Folded(f"Drawing of all {len(before.cells):,} cells", (drawn,))
    else:
        yield drawn
    pairs = [(old, new) for old, new in zip(edges(before), edges(after), strict=True) if old != new]
    if not pairs:
        yield Text("No operation was changed.")
        return
    rows = [
        (
            TableCell(old.cell), TableCell(old.where),
            TableCell(shortened(old.op, LONG)), TableCell(shortened(new.op, LONG)),
            _difference(old.params, new.params), _difference(old.macs, new.macs), TableCell(shortened(old.key, LONG)),
        )
        for old, new in pairs
    ]  # fmt: skip
    names = ("cell", "edge", "before", "after", "parameters", "MACs", "place in the format")
    columns = tuple(Column(name, code=name in ("before", "after")) for name in names)
    left = len(rows) - MANY_EDGES
    cut = f"{left:,} more changes are left out here." if left > 0 else ""
    yield Table("Operations that changed, and what they cost in all places of their cell", columns,
                tuple(rows[:MANY_EDGES]), cut)  # fmt: skip


def where_costs_lie(*measured: tuple[Network, Mapping[str, Spread]]) -> Iterator[PagePart]:
    """By cell, or block by block, with bars: of one network, or before and after; with what tables of costs (a latency)
    say of each."""
    described = [describe(network) for network, _ in measured]
    tables = {
        name: [spreads[name] for _, spreads in measured]
        for name in measured[0][1]
        if all(name in spreads for _, spreads in measured)
    }
    single = all(cell["placements"] == 1 for cell in described[0]["cells"].values())
    names = [*described[0]["cells"], None]
    sides = ("",) if len(measured) == 1 else (" before", " after")
    columns = [Column("block" if single else "cell"), *([] if single else [Column("places")])]
    columns += [Column(f"{what}{side}", bars=True) for what in ("MACs", "parameters") for side in sides]
    columns += [
        Column(f"{table}{side}, {shortened(found[0].unit, 20)}", bars=True)
        for table, found in tables.items()
        for side in sides
    ]
    rows = []
    for name in names[:MANY_EDGES] if len(names) > MANY_EDGES else names:
        row = [TableCell("stem, head, connections" if name is None else name)]
        if not single:
            row.append(TableCell("") if name is None else count(described[0]["cells"][name]["placements"]))
        row += [count(_part(each, name, metric)) for metric in ("macs", "params") for each in described]
        for found in tables.values():
            spent = [each.fixed if name is None else each.cells.get(name, 0.0) for each in found]
            row += [TableCell(f"{each:,.4g}", each) for each in spent]
        rows.append(tuple(row))
    left = len(names) - MANY_EDGES
    cut = f"{left:,} more are left out here." if left > 0 else ""
    what = "Where the costs lie, block by block" if single else "Where the costs lie, in all places of a cell"
    yield Table(what, tuple(columns), tuple(rows), cut)


def _part(described: dict[str, object], name: str | None, metric: str) -> int:
    """What the edges of a cell cost together; of no cell, what is no edge."""
    cells = described["cells"]
    assert isinstance(cells, dict)
    if name is not None:
        return sum(int(edge[metric]) for edge in cells[name]["edges"])
    total = described[metric]
    assert isinstance(total, int)
    return total - sum(int(edge[metric]) for cell in cells.values() for edge in cell["edges"])


def every_edge(network: Network, title: str) -> Folded:
    rows = [
        (TableCell(e.cell), TableCell(e.where), TableCell(shortened(e.op, LONG)), count(e.params), count(e.macs),
         TableCell(shortened(e.key, LONG)))
        for e in edges(network)
    ]  # fmt: skip
    names = ("cell", "edge", "operation", "parameters", "MACs", "place in the format")
    columns = tuple(Column(name, bars=name in ("parameters", "MACs"), code=name == "operation") for name in names)
    left = len(rows) - MANY_EDGES
    cut = f"{left:,} more are left out here." if left > 0 else ""
    return Folded(title, (Table("Every operation, and what it costs in all places of its cell", columns,
                                tuple(rows[:MANY_EDGES]), cut),))  # fmt: skip


def _difference(before: int, after: int) -> TableCell:
    return TableCell(f"{before:,} → {after:,}", float(after - before))


def changed_ops(before: Network, after: Network, most: int = 12) -> str:
    """In one line: ``normal in0 → 2: sep_conv_3x3 → skip; …``."""
    found = []
    for slot, old, new in zip(before.slots, before.ops, after.ops, strict=True):
        if old != new:
            cell = before.by_name[slot.cell]
            names, edge = node_names(cell), cell.edges[slot.index]
            ops = " → ".join(shortened(label, LONG) for label in op_labels(old, new))
            found.append(f"{slot.cell} {names[edge.source]} → {names[edge.target]}: {ops}")
    more = [f"and {len(found) - most:,} more"] if len(found) > most else []
    return "; ".join([*found[:most], *more]) or "nothing"
