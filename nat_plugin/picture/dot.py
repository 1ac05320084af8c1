"""A network in the language of Graphviz, for whoever lays out or styles the drawing themselves."""

from __future__ import annotations

from collections.abc import Iterator

from nat_plugin.describing import headings
from nat_plugin.drawing import node_names, op_label, op_labels
from nat_plugin.ir import Cell, Network, canonical


def network_dot(network: Network, before: Network | None = None) -> str:
    """A ``digraph`` with a cluster for every placed cell, without dead operations. With ``before``, the network that it
    was made from, a changed edge is bold and says ``old -> new``, dashed where nothing is left."""
    lean, old = canonical(network), canonical(before) if before else None
    lines = ["digraph nat {", "  rankdir=LR;", "  node [shape=circle];"]
    for number, (name, heading) in enumerate(headings(network)):
        lines += [f"  subgraph cluster_{number} {{", f"    label={_quoted(heading)};"]
        lines += [f"    {line}" for line in _cell(number, lean.by_name[name], old.by_name[name] if old else None)]
        lines.append("  }")
    return "\n".join([*lines, "}", ""])


def _cell(number: int, cell: Cell, before: Cell | None) -> Iterator[str]:
    names = [*node_names(cell), "out"]
    ids = [_quoted(f"{number}/{name}") for name in names]
    for own, name in zip(ids, names, strict=True):
        yield f"{own} [label={_quoted(name)}];"
    for edge, old in zip(cell.edges, (before or cell).edges, strict=True):
        if edge.op.is_null and old.op.is_null:
            continue
        style = ""
        label = op_label(edge.op)
        if edge.op != old.op:
            label = " -> ".join(op_labels(old.op, edge.op))
            style = f", style={'dashed' if edge.op.is_null else 'bold'}"
        yield f"{ids[edge.source]} -> {ids[edge.target]} [label={_quoted(label)}{style}];"
    for node in cell.output:
        yield f"{ids[node]} -> {ids[-1]};"


def _quoted(text: str) -> str:
    """On one line, without what no file can hold."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    escaped = shown.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
