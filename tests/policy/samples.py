"""Small networks for tests of policy and strategies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.spaces.random_cells import random_darts
from nat_plugin.ir import Cell, Edge, Head, Network, Node, Op, Placement, canonical, is_connected, key
from nat_plugin.ir.layers import Conv, Norm

__all__ = ["LADDER", "LADDER_OPS", "distinct_ladders", "ladder", "random_darts", "random_ladder"]

LADDER_OPS = tuple(map(Op.parse, ("null", "skip", "conv_1x1", "conv_3x3", "avg_pool_3x3")))
LADDER = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))


def ladder(ops: Sequence[int], ends: Sequence[tuple[int, int]] = LADDER) -> Network:
    """A cell with every edge between four nodes, as in NAS-Bench-201, placed twice; ``ops`` index ``LADDER_OPS``."""
    last = max(target for _, target in ends)
    edges = tuple(
        Edge(source, target, LADDER_OPS[op], f"{source}->{target}", LADDER_OPS)
        for (source, target), op in zip(ends, ops, strict=True)
    )
    cell = Cell(1, (Node(),) * last, edges, (last,))
    stem = ((Conv(3, 8, (3, 3)), Norm(8)),)
    return Network(
        (("cell", cell),), (Placement("cell", 8, (0,)), Placement("cell", 8, (1,))), stem, Head(10), (3, 8, 8)
    )


def random_ladder(rng: np.random.Generator) -> Network:
    while True:
        network = ladder(rng.integers(0, 5, 6).tolist())
        if is_connected(network):
            return network


def distinct_ladders(count: int, seed: int) -> list[Network]:
    """No two of which compute the same."""
    rng = np.random.default_rng(seed)
    found: dict[str, Network] = {}
    while len(found) < count:
        network = random_ladder(rng)
        found.setdefault(key(network), canonical(network))
    return list(found.values())
