"""A network as plain values (for ``--json``) and as text to read."""

from __future__ import annotations

from collections import Counter
from typing import Any

from nat_plugin.drawing import draw_cell
from nat_plugin.ir import Network, canonical, cost, key, layout
from nat_plugin.ir.edge_costs import edge_costs


def describe(network: Network) -> dict[str, Any]:
    """Costs, key, shapes, and every cell with its edges. Costs are exact, over all placements of the cell; a dead edge
    (``live`` false) costs nothing."""
    total, lean, places = cost(network), canonical(network), edge_costs(network)
    cells = {}
    for name, cell in network.cells:
        count = sum(placement.cell == name for placement in network.placements)
        if not count:
            continue
        edges = []
        for edge, kept in zip(cell.edges, lean.by_name[name].edges, strict=True):
            params, macs = places.cost(name, edge.source, edge.target, kept.op)
            edges.append(
                {
                    "source": edge.source,
                    "target": edge.target,
                    "op": str(edge.op),
                    "key": edge.key,
                    "live": not kept.op.is_null,
                    "editable": edge.editable,
                    "params": params,
                    "macs": macs,
                }
            )
        output = list(lean.by_name[name].output)
        cells[name] = {"placements": count, "inputs": cell.inputs, "output": output, "edges": edges}
    return {
        "params": total.params,
        "macs": total.macs,
        "key": key(network),
        "input": list(network.input),
        "classes": network.head.classes,
        "depth": len(network.placements),
        "channels": network.placements[0].channels if network.placements else None,
        "output": list(layout(lean).tensors[-1]),
        "cells": cells,
    }


def summary(network: Network) -> str:
    """One line: size, depth, parameters, MACs."""
    total, (channels, height, width) = cost(network), network.input
    placed = len(network.placements)
    return (
        f"{_millions(total.params, 3)} parameters, {_millions(total.macs, 0)} MACs "
        f"({placed} {'cell' if placed == 1 else 'cells'} of {network.placements[0].channels} channels at first, "
        f"{channels}x{height}x{width} in, {network.head.classes} classes)"
    )


def _millions(count: int, digits: int) -> str:
    """In millions where at least two figures of it are left; else the number itself."""
    return f"{count / 1e6:.{digits}f}M" if count >= 10 ** (7 - digits) else f"{count:,}"


def headings(network: Network) -> list[tuple[str, str]]:
    """Name and heading of every placed cell."""
    counts = Counter(placement.cell for placement in network.placements)
    return [
        (name, f"{name} (placed {counts[name]} {'time' if counts[name] == 1 else 'times'})")
        for name, _ in network.cells
        if counts[name]
    ]


def drawings(network: Network, before: Network | None = None) -> list[tuple[str, list[str]]]:
    """A heading and a drawing for every placed cell; with ``before``, changes are marked."""
    return [
        (heading, draw_cell(network.by_name[name], before.by_name[name] if before else None))
        for name, heading in headings(network)
    ]
