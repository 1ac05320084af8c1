"""Which search space a network is of."""

from __future__ import annotations

import hashlib

from nat_plugin.ir import Cell, Network, Role


def space_name(network: Network) -> str:
    """The same for all networks of one search space: by the operations that its edges choose from, whatever the wiring
    (which differs from cell to cell in many spaces), channels and the size of images."""
    edges = (edge for _, cell in network.cells for edge in cell.edges if edge.editable)
    ops = sorted({str(op) for edge in edges for op in edge.choices if op.role is Role.OPERATION})
    return hashlib.sha256("; ".join(ops).encode()).hexdigest()[:16]


def cells_of(network: Network) -> str:
    """Wiring and ops of the cells that can be edited, the same for all inputs of one search space."""
    return "; ".join(sorted({_described(cell) for _, cell in network.cells if any(e.editable for e in cell.edges)}))


def _described(cell: Cell) -> str:
    edges = " ".join(f"{edge.source}->{edge.target}" for edge in cell.edges)
    return f"{edges} of {' '.join(sorted({str(op) for edge in cell.edges for op in edge.choices}))}"
