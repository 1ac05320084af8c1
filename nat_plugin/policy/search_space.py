"""Which search space a network is of."""

from __future__ import annotations

from nat_plugin.ir import Cell, Network


def cells_of(network: Network) -> str:
    """Wiring and ops of the cells that can be edited, the same for all inputs of one search space."""
    return "; ".join(sorted({_described(cell) for _, cell in network.cells if any(e.editable for e in cell.edges)}))


def _described(cell: Cell) -> str:
    edges = " ".join(f"{edge.source}->{edge.target}" for edge in cell.edges)
    return f"{edges} of {' '.join(sorted({str(op) for edge in cell.edges for op in edge.choices}))}"
