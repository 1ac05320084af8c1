"""Which search space a network is of."""

from __future__ import annotations

import hashlib

from nat_plugin.ir import Network, Role


def space_name(network: Network) -> str:
    """The same for all networks of one search space: by the operations that its edges choose from, whatever the wiring
    (which differs from cell to cell in many spaces), channels and the size of images."""
    edges = (edge for _, cell in network.cells for edge in cell.edges if edge.editable)
    ops = sorted({str(op) for edge in edges for op in edge.choices if op.role is Role.OPERATION})
    return hashlib.sha256("; ".join(ops).encode()).hexdigest()[:16]
