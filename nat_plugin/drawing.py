"""Cells as text: one line per node, saying what it is the sum of."""

from __future__ import annotations

import re

from nat_plugin.ir import Cell, Network, Op, canonical
from nat_plugin.ir.ops import op_kind

_STATED = re.compile(r"^\w+:(?=\{name)|:\{(?:params|macs)[^}]*\}")
"""Of the text of an op: its kind before a name of its own, and the costs that it states."""


def node_names(cell: Cell) -> list[str]:
    """What the inputs and inner nodes of a cell are called, by their numbers."""
    inputs = [f"in{number}" for number in range(cell.inputs)] if cell.inputs > 1 else ["in"]
    return [*inputs, *(str(number) for number in range(cell.inputs, cell.inputs + len(cell.nodes)))]


def op_label(op: Op) -> str:
    """What to call an op where its costs stand beside it: ``mbconv_k3_e6`` of ``timm:mbconv_k3_e6:8832:525312``."""
    values = dict(op.attributes)
    return re.sub(r"\{(\w+)[^}]*\}", lambda match: str(values[match[1]]), _STATED.sub("", op_kind(op.kind).template))


def op_labels(old: Op, new: Op) -> tuple[str, str]:
    """Of two ops, by which they can be told apart."""
    labels = op_label(old), op_label(new)
    return (str(old), str(new)) if labels[0] == labels[1] and old != new else labels


def draw_cell(cell: Cell, before: Cell | None = None) -> list[str]:
    """One line per inner node, and one for the output: ``3 = sep_conv_3x3(in0) + skip(2)``.

    With ``before``, the cell that this one was made from, changed ops show as ``[sep_conv_3x3 -> skip](in0)``.
    """
    names = node_names(cell)
    width = max(map(len, names))
    lines = []
    for node in range(cell.inputs, len(names)):
        terms = []
        for edge, old in zip(cell.edges, (before or cell).edges, strict=True):
            if edge.target == node and not (edge.op.is_null and old.op.is_null):
                op = str(edge.op) if edge.op == old.op else f"[{old.op} -> {edge.op}]"
                terms.append(f"{op}({names[edge.source]})")
        lines.append(f"{names[node]:>{width}} = {' + '.join(terms) or 'nothing'}")
    output = ", ".join(names[node] for node in cell.output)
    return [*lines, f"{'out':>{width}} = {f'concat({output})' if len(cell.output) > 1 else output}"]


def draw(network: Network, before: Network | None = None) -> str:
    """All cells that are placed; with ``before``, the network this one was made from, changes are marked."""
    placed = {placement.cell for placement in network.placements}
    blocks = []
    for name, cell in network.cells:
        if name in placed:
            lines = draw_cell(cell, before.by_name[name] if before else None)
            blocks.append("\n".join([f"{name}:", *("  " + line for line in lines)]))
    return "\n".join(blocks)


def draw_change(before: Network, after: Network) -> str:
    """What became of a network: the result without dead operations, changes marked."""
    return draw(canonical(after), before)
