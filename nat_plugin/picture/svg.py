"""A network as scalable graphics: each cell a drawing, in which what was changed is marked by more than a colour."""

from __future__ import annotations

import re
from html import escape
from typing import Any

from nat_plugin.describing import describe, headings
from nat_plugin.drawing import node_names
from nat_plugin.ir import Cell, Network, canonical
from nat_plugin.picture.placing import LINE, Item, NodeItem, OpItem, Placed, place

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
    lean, costs = canonical(network), describe(network)["cells"]
    drawn, top, width = [], MARGIN, 0.0
    for name, heading in headings(network):
        cell = lean.by_name[name]
        placed = place(cell, before.by_name[name] if before else None)
        drawn.append(f'<text class="heading" x="{MARGIN:g}" y="{top + 13:g}">{_text(heading)}</text>')
        top += HEADING
        inner = "".join(_cell(placed, cell, costs[name]["edges"]))
        drawn.append(f'<g transform="translate({MARGIN:g} {top:g})">{inner}</g>')
        top += placed.height + 2 * MARGIN
        width = max(width, placed.width, 7.5 * len(heading))
    size = f'width="{width + 2 * MARGIN:.0f}" height="{top:.0f}" viewBox="0 0 {width + 2 * MARGIN:.0f} {top:.0f}"'
    style = _STYLE + (_ALONE if alone else "")
    said = f'role="group" aria-label="{_label(network, before)}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="nat" {said} {size} '
        f'style="max-width:100%;height:auto"><style>{style}</style>{"".join(drawn)}</svg>'
    )


def _label(network: Network, before: Network | None) -> str:
    cells = len(headings(network))
    what = f"{cells} cell{'s' * (cells != 1)} of a network"
    if before is None:
        return what
    pairs = zip(canonical(network).ops, before.ops, strict=True)
    return f"{what}; operations changed: {sum(new != old for new, old in pairs)}"


def _cell(placed: Placed, cell: Cell, costs: list[dict[str, Any]]) -> list[str]:
    names = node_names(cell)
    drawn = []
    for item in placed.items:
        drawn += [_link(start, item) for start in item.before]
        if not isinstance(item, NodeItem | OpItem):
            drawn.append(_path(f"M{_left(item)}H{item.x + item.width / 2:.1f}", False))
    for item in placed.items:
        if isinstance(item, NodeItem):
            drawn.append(f'<circle cx="{item.x:.1f}" cy="{item.y:.1f}" r="{item.width / 2:g}"/>')
            drawn.append(f'<text x="{item.x:.1f}" y="{item.y + 4:.1f}">{_text(item.name)}</text>')
        elif isinstance(item, OpItem):
            edge = cell.edges[item.edge]
            drawn.append(_op(item, f"{names[edge.source]} to {names[edge.target]}", costs[item.edge]))
    return drawn


def _op(item: OpItem, where: str, costs: dict[str, Any]) -> str:
    changed = "" if item.old is None else f", before: {item.old}"
    said = f"{where}: {item.op}{changed}; {costs['params']:,} parameters, {costs['macs']:,} MACs in all its places"
    gone = ' class="gone"' if item.op.is_null else ""
    radius = item.height / 2 if str(item.op) == "skip" else 3
    corner = f'x="{item.x - item.width / 2:.1f}" y="{item.y - item.height / 2:.1f}"'
    size = f'width="{item.width:.1f}" height="{item.height:g}" rx="{radius:g}"'
    first = item.y + 4 - LINE * (len(item.lines) - 1) / 2
    kinds = ("",) if item.old is None else (' class="old"', ' class="new"')
    lines = "".join(
        f'<text{kind} x="{item.x:.1f}" y="{first + number * LINE:.1f}">{_text(line)}</text>'
        for number, (kind, line) in enumerate(zip(kinds, item.lines, strict=True))
    )
    group = ' class="changed"' if item.old is not None else ""
    inner = f"<title>{_text(said)}</title><rect{gone} {corner} {size}/>{lines}"
    return f'<g{group} role="img" tabindex="0">{inner}</g>'


def _left(item: Item) -> str:
    return f"{item.x - item.width / 2:.1f} {item.y:.1f}"


def _link(start: Item, end: Item) -> str:
    """From the right side of an item to the left one of another; dashed where nothing goes along it any more."""
    x, middle = start.x + start.width / 2, (start.x + start.width / 2 + end.x - end.width / 2) / 2
    gone = any(isinstance(each, OpItem) and each.op.is_null for each in (start, end))
    curve = f"M{x:.1f} {start.y:.1f}C{middle:.1f} {start.y:.1f} {middle:.1f} {end.y:.1f} {_left(end)}"
    return _path(curve, gone)


def _path(line: str, gone: bool) -> str:
    return f'<path class="link{" gone" if gone else ""}" d="{line}"/>'


def printable(text: str) -> str:
    """With what no document can hold replaced: control characters, halves of surrogate pairs."""
    return _NO_XML.sub("�", text)


def _text(text: str) -> str:
    return escape(printable(text))
