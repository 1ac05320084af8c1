"""Which search space a network is of."""

from __future__ import annotations

import hashlib
from functools import lru_cache

from nat_plugin.ir import Network, Op, Role


def space_name(network: Network) -> str:
    """The same for all networks of one search space: by the operations that its edges choose from, whatever the wiring
    (which differs from cell to cell in many spaces), channels and the size of images."""
    return _name_of(frozenset(edge.choices for _, cell in network.cells for edge in cell.edges if edge.editable))


@lru_cache(maxsize=1024)
def _name_of(choices: frozenset[tuple[Op, ...]]) -> str:
    """Of all that the edges of a network choose from."""
    ops = sorted({str(op) for options in choices for op in options if op.role is Role.OPERATION})
    return hashlib.sha256("; ".join(ops).encode()).hexdigest()[:16]
