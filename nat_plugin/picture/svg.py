"""A network as scalable graphics: each cell a drawing, in which what was changed is marked by more than a colour."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from nat_plugin.describing import headings
from nat_plugin.drawing import node_names, op_label, op_labels
from nat_plugin.ir import Cell, Network, Op, canonical
from nat_plugin.ir.edge_costs import edge_costs
from nat_plugin.picture.placing import LINE, Item, NodeItem, OpItem, PlacedItems, changed_lines, place

MARGIN, HEADING = 12.0, 26.0
_STYLE = """
.nat text{font:11px ui-monospace,Menlo,Consolas,monospace;fill:currentColor;text-anchor:middle}
.nat .heading{font:600 13px system-ui,sans-serif;text-anchor:start}
.nat rect,.nat circle,.nat path{fill:none;stroke:currentColor;stroke-width:1}
.nat .link{opacity:.6}.nat .gone{stroke-dasharray:4 3}
.nat .changed rect{stroke:#b45309;stroke-width:2.5}
.nat .old{text-decoration:line-through;opacity:.75}.nat .new{font-weight:700}
"""
_ALONE = """
svg.nat{color:#1a1a1a;background:#fff}
@media(prefers-color-scheme:dark){svg.nat{color:#eee;background:#16181d}}
"""
"""In a file of its own, where nothing around it gives colours."""
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def network_svg(network: Network, before: Network | None = None, alone: bool = False) -> str:
    """An ``<svg>`` element with a drawing of every placed cell, without dead operations; with ``before``, the network
    that it was made from, changes are marked. ``alone``: for a file of its own, in light and dark."""
    lean, old = canonical(network), canonical(before) if before else None
    drawn = [
        _Drawn(name, heading, lean.by_name[name], place(lean.by_name[name], old.by_name[name] if old else None))
        for name, heading in headings(network)
    ]
    return _document(drawn, network, _label(lean, old), _STYLE + (_ALONE if alone else ""))


def search_svg(network: Network, found: Sequence[Network]) -> tuple[str, list[str]]:
    """One drawing for a network and all that differ from it in ops alone, which the script of a page fills in: every op
    has the number of its edge, and what may stand there. With it, for each of ``found``, what is other there than in
    ``network``: ``edge:op`` by these numbers, apart by spaces. Nobody has to draw hundreds of networks so."""
    lean = canonical(network)
    others: dict[tuple[str, int], list[Op]] = {}
    changes = []
    for each in map(canonical, found):
        changed = [
            (name, number, edge.op)
            for name, cell in each.cells
            for number, (edge, own) in enumerate(zip(cell.edges, lean.by_name[name].edges, strict=True))
            if edge.op != own.op
        ]
        for name, number, op in changed:
            if op not in others.setdefault((name, number), []):
                others[name, number].append(op)
        changes.append(changed)
    numbers = {edge: number for number, edge in enumerate(others)}
    drawn = []
    for name, heading in headings(network):
        cell = lean.by_name[name]
        own = {number: tuple(ops) for (of, number), ops in others.items() if of == name}
        first = {number: numbers[name, number] for number in own}
        drawn.append(_Drawn(name, heading, cell, place(cell, None, own), first))
    said = [
        " ".join(f"{numbers[name, number]}:{others[name, number].index(op) + 1}" for name, number, op in changed)
        for changed in changes
    ]
    return _document(drawn, network, "a network of the search", _STYLE), said


@dataclass(frozen=True)
class _Drawn:
    """A cell with its places; ``numbers``: of the edges whose op a page may change, by their place in the cell."""

    name: str
    heading: str
    cell: Cell
    placed: PlacedItems
    numbers: Mapping[int, int] = field(default_factory=dict)


def _document(cells: Sequence[_Drawn], network: Network, said: str, style: str) -> str:
    places = edge_costs(network)
    drawn, top, width = [], MARGIN, 0.0
    for each in cells:
        placed, heading = each.placed, each.heading

        def said_of(edge: int, op: Op, name: str = each.name, cell: Cell = each.cell) -> str:
            params, macs = places.cost(name, cell.edges[edge].source, cell.edges[edge].target, op)
            return f"{params:,} parameters, {macs:,} MACs in all its places"

        drawn.append(f'<text class="heading" x="{MARGIN:g}" y="{top + 13:g}">{_text(heading)}</text>')
        top += HEADING
        inner = "".join(_cell(each, said_of))
        drawn.append(f'<g transform="translate({MARGIN:g} {top:g})">{inner}</g>')
        top += placed.height + 2 * MARGIN
        width = max(width, placed.width, 7.5 * len(heading))
    size = f'width="{width + 2 * MARGIN:.0f}" height="{top:.0f}" viewBox="0 0 {width + 2 * MARGIN:.0f} {top:.0f}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="nat" role="group" aria-label="{said}" {size} '
        f'style="max-width:100%;height:auto"><style>{style}</style>{"".join(drawn)}</svg>'
    )


def _label(network: Network, before: Network | None) -> str:
    cells = len(headings(network))
    what = f"{cells} cell{'s' * (cells != 1)} of a network"
    if before is None:
        return what
    pairs = zip(network.ops, before.ops, strict=True)
    return f"{what}; operations changed: {sum(new != old for new, old in pairs)}"


def _cell(drawing: _Drawn, costs: Callable[[int, Op], str]) -> Iterator[str]:
    placed, cell, numbers = drawing.placed, drawing.cell, drawing.numbers
    names = node_names(cell)
    for item in placed.items:
        yield from (_link(start, item, numbers) for start in item.before)
        if not isinstance(item, NodeItem | OpItem):
            yield _path(f"M{_left(item)}H{item.x + item.width / 2:.1f}", False)
    for item in placed.items:
        if isinstance(item, NodeItem):
            yield f'<circle cx="{item.x:.1f}" cy="{item.y:.1f}" r="{item.width / 2:g}"/>'
            yield f'<text x="{item.x:.1f}" y="{item.y + 4:.1f}">{_text(item.name)}</text>'
        elif isinstance(item, OpItem):
            edge = cell.edges[item.edge]
            where = f"{names[edge.source]} to {names[edge.target]}"
            yield _op(item, where, costs, numbers.get(item.edge))


def _said(item: OpItem, where: str, op: Op, old: Op | None, costs: Callable[[int, Op], str]) -> str:
    before, after = (None, op_label(op)) if old is None else op_labels(old, op)
    changed = "" if before is None else f", before: {before}"
    return f"{where}: {after}{changed}; {costs(item.edge, op)}"


def _op(item: OpItem, where: str, costs: Callable[[int, Op], str], number: int | None) -> str:
    said = _said(item, where, item.op, item.old, costs)
    gone = ' class="gone"' if item.op.is_null else ""
    radius = item.height / 2 if str(item.op) == "skip" else 3
    corner = f'x="{item.x - item.width / 2:.1f}" y="{item.y - item.height / 2:.1f}"'
    size = f'width="{item.width:.1f}" height="{item.height:g}" rx="{radius:g}"'
    first = item.y + 4 - LINE * (len(item.lines) - 1) / 2
    kinds = (' class="now"' if item.others else "",) if item.old is None else (' class="old"', ' class="new"')
    lines = "".join(
        f'<text{kind} x="{item.x:.1f}" y="{first + number * LINE:.1f}">{_text(line)}</text>'
        for number, (kind, line) in enumerate(zip(kinds, item.lines, strict=True))
    )
    group = ' class="changed"' if item.old is not None else ""
    inner = f"<title>{_text(said)}</title><rect{gone} {corner} {size}/>{lines}"
    filled = ""
    if number is not None:
        titles = [said, *(_said(item, where, each, item.op, costs) for each in item.others)]
        lines_of = [[item.lines[0]], *(changed_lines(item.op, each) for each in item.others)]
        nulls = [at for at, each in enumerate((item.op, *item.others)) if each.is_null]
        data = {"lines": lines_of, "said": titles, "null": nulls}
        filled = f' data-edge="{number}" data-ops="{_text(json.dumps(data, ensure_ascii=False))}"'
    return f'<g{group}{filled} role="img" tabindex="0">{inner}</g>'


def _left(item: Item) -> str:
    return f"{item.x - item.width / 2:.1f} {item.y:.1f}"


def _link(start: Item, end: Item, numbers: Mapping[int, int]) -> str:
    """From the right side of an item to the left one of another; dashed where nothing goes along it any more."""
    x, middle = start.x + start.width / 2, (start.x + start.width / 2 + end.x - end.width / 2) / 2
    gone = any(isinstance(each, OpItem) and each.op.is_null for each in (start, end))
    curve = f"M{x:.1f} {start.y:.1f}C{middle:.1f} {start.y:.1f} {middle:.1f} {end.y:.1f} {_left(end)}"
    own = [numbers[each.edge] for each in (start, end) if isinstance(each, OpItem) and each.edge in numbers]
    return _path(curve, gone, own[0] if own else None)


def _path(line: str, gone: bool, number: int | None = None) -> str:
    of = "" if number is None else f' data-of="{number}"'
    return f'<path class="link{" gone" if gone else ""}"{of} d="{line}"/>'


def printable(text: str) -> str:
    """With what no document can hold replaced: control characters, halves of surrogate pairs."""
    return _NO_XML.sub("�", text)


def _text(text: str) -> str:
    return escape(printable(text))
