"""Where everything of a cell stands in its picture: nodes in columns by their depth, between them the ops."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nat_plugin.drawing import node_names, op_label, op_labels
from nat_plugin.ir import Cell, Op

GAP_X, GAP_Y = 30.0, 10.0
"""Between columns, and within one."""
NODE = 30.0
"""Across a node."""
LETTER, LINE, MARGIN, WIDEST = 6.6, 14.0, 8.0, 30
"""Of the text of an op: width and height, the space around it, and letters at most."""


@dataclass(eq=False)
class Item:
    """A node, an op, or the place where a link passes a column. ``x`` and ``y`` are of its middle."""

    column: int
    width: float
    height: float
    before: list[Item] = field(default_factory=list)
    group: int = -1
    """The node that an op belongs to: ops of one node stand together."""
    x: float = 0.0
    y: float = 0.0


@dataclass(eq=False, kw_only=True)
class NodeItem(Item):
    name: str


@dataclass(eq=False, kw_only=True)
class OpItem(Item):
    """An edge of the cell, by its number, with its op; ``old``: the op that it had, where that was another; ``others``:
    what may stand there too, for which there is space."""

    edge: int
    op: Op
    old: Op | None
    lines: tuple[str, ...]
    others: tuple[Op, ...] = ()


@dataclass(frozen=True, eq=False)
class PlacedItems:
    """All items with their places; links are the ``before`` of each."""

    items: tuple[Item, ...]
    width: float
    height: float


def short(text: str) -> str:
    """A text that fits into the picture."""
    return text if len(text) <= WIDEST else text[: WIDEST - 1] + "…"


def place(cell: Cell, before: Cell | None = None, others: Mapping[int, tuple[Op, ...]] | None = None) -> PlacedItems:
    """A cell; with ``before``, the one that it was made from, changed ops know what they were. ``others``: by the
    number of an edge, what else will be shown in its place."""
    others = others or {}
    shown = [
        (number, edge, old.op)
        for number, (edge, old) in enumerate(zip(cell.edges, (before or cell).edges, strict=True))
        if not all(op.is_null for op in (edge.op, old.op, *others.get(number, ())))
    ]
    names = node_names(cell)
    depth = [0] * len(names)
    for node in range(cell.inputs, len(names)):
        depth[node] = 1 + max((depth[edge.source] for _, edge, _ in shown if edge.target == node), default=0)
    used = {*range(cell.inputs), *cell.output, *(end for _, edge, _ in shown for end in (edge.source, edge.target))}
    nodes = {node: NodeItem(2 * depth[node], NODE, NODE, name=names[node]) for node in sorted(used)}
    items: list[Item] = list(nodes.values())
    for number, edge, old in shown:
        target = nodes[edge.target]
        changed = old if old != edge.op else None
        lines = (short(op_label(edge.op)),) if changed is None else changed_lines(changed, edge.op)
        rivals = others.get(number, ())
        every = [lines, *(changed_lines(edge.op, rival) for rival in rivals)]
        width = LETTER * max(len(line) for each in every for line in each) + 2 * MARGIN
        made = OpItem(
            target.column - 1, width, LINE * max(map(len, every)) + MARGIN, [], edge.target,
            edge=number, op=edge.op, old=changed, lines=lines, others=rivals,
        )  # fmt: skip
        made.before = [_through(nodes[edge.source], made.column, items)]
        target.before.append(made)
        items.append(made)
    out = NodeItem(2 * (max(depth) + 1), NODE, NODE, name="out")
    out.before = [_through(nodes[node], out.column, items) for node in cell.output]
    items.append(out)
    return _arranged(items)


def changed_lines(old: Op, new: Op) -> tuple[str, str]:
    """How a change is written in a drawing."""
    before, after = map(short, op_labels(old, new))
    return before, f"→ {after}"


def _through(start: Item, column: int, items: list[Item]) -> Item:
    """What a link from an item to a column comes from: it passes each column between in a place of its own."""
    for between in range(start.column + 1, column):
        start = Item(between, 0.0, 4.0, [start])
        items.append(start)
    return start


def _arranged(items: Sequence[Item]) -> PlacedItems:
    columns: dict[int, list[Item]] = defaultdict(list)
    for item in items:
        columns[item.column].append(item)
    left = 0.0
    for number in sorted(columns):
        column = columns[number]
        _stack(_ordered(column))
        width = max(item.width for item in column)
        for item in column:
            item.x = left + width / 2
            if not isinstance(item, NodeItem):
                item.width = width  # so that links bend between columns only, where nothing is to be crossed
        left += width + GAP_X
    top = min(item.y - item.height / 2 for item in items)
    for item in items:
        item.y -= top
    return PlacedItems(tuple(items), left - GAP_X, max(item.y + item.height / 2 for item in items))


def _wanted(item: Item) -> float:
    return sum(each.y for each in item.before) / len(item.before) if item.before else 0.0


def _ordered(column: Sequence[Item]) -> list[Item]:
    """By where they come from; ops of one node together."""
    groups: dict[object, list[Item]] = defaultdict(list)
    for item in column:
        groups[item.group if item.group >= 0 else item].append(item)
    middle = {key: sum(map(_wanted, group)) / len(group) for key, group in groups.items()}
    ordered = sorted(groups, key=middle.__getitem__)
    return [item for key in ordered for item in sorted(groups[key], key=_wanted)]


def _stack(ordered: Sequence[Item]) -> None:
    """One below the other, each as near to where it comes from as the others let it (pools of adjacent violators)."""
    offsets, at = [], 0.0
    for item in ordered:
        at += item.height / 2
        offsets.append(at)
        at += item.height / 2 + GAP_Y
    pools: list[tuple[float, int]] = []  # the sum of what is wanted, and of how many items
    for item, offset in zip(ordered, offsets, strict=True):
        pools.append((_wanted(item) - offset, 1))
        while len(pools) > 1 and pools[-2][0] / pools[-2][1] > pools[-1][0] / pools[-1][1]:
            (total, count), (more, others) = pools[-2:]
            pools[-2:] = [(total + more, count + others)]
    starts = [total / count for total, count in pools for _ in range(count)]
    for item, offset, start in zip(ordered, offsets, starts, strict=True):
        item.y = start + offset
