"""Cells at random, in the networks that they are usually placed in."""

from __future__ import annotations

import numpy as np

from nat_plugin.ir import Cell, Edge, Head, Network, NetworkSize, Node, Op, Placement, cell_stack
from nat_plugin.ir.layers import Conv, Norm
from nat_plugin.ir.skeletons import at_level

DARTS_OPS = tuple(
    Op.parse(text)
    for text in (
        *("null", "skip", "max_pool_3x3", "avg_pool_3x3"),
        *("sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"),
    )
)
LADDER_OPS = tuple(map(Op.parse, ("null", "skip", "conv_1x1", "conv_3x3", "avg_pool_3x3")))
LADDER = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))


def random_darts(rng: np.random.Generator) -> Network:
    """Two random inputs for each of four nodes, any op but null."""

    def cell() -> Cell:
        edges: list[Edge] = []
        for target in range(2, 6):
            for source in sorted(rng.choice(target, 2, replace=False).tolist()):
                edges.append(Edge(source, target, DARTS_OPS[rng.integers(1, 8)], f"{len(edges)}", DARTS_OPS))
        return Cell(2, (Node(),) * 4, tuple(edges), (2, 3, 4, 5), project=True)

    return cell_stack(cell(), at_level(cell(), 1), NetworkSize(), 36, 20)


def random_ladder(rng: np.random.Generator) -> Network:
    """A cell of NAS-Bench-201 in its network: three stages of five cells, residual blocks between them."""
    edges = tuple(Edge(s, t, LADDER_OPS[rng.integers(5)], f"{s}->{t}", LADDER_OPS) for s, t in LADDER)
    conv, short = Op.parse("conv_3x3"), Op.parse("conv_1x1")
    cells = [("cell", Cell(1, (Node(),) * 3, edges, (3,)))]
    placements, tensor = [], 0
    for channels in (16, 32, 64):
        if channels > 16:
            nodes = (Node(1, channels), Node(1, channels))
            block = Cell(1, nodes, (Edge(0, 1, conv), Edge(0, 2, short), Edge(1, 2, conv)), (2,))
            cells.append((f"reduce{channels}", block))
            placements.append(Placement(f"reduce{channels}", channels, (tensor,)))
            tensor += 1
        for _ in range(5):
            placements.append(Placement("cell", channels, (tensor,)))
            tensor += 1
    stem = ((Conv(3, 16, (3, 3)), Norm(16)),)
    return Network(tuple(cells), tuple(placements), stem, Head(10), (3, 32, 32))
