"""Networks for the tests of ``nat_plugin.nets``: from genotypes, other cell families, random ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from nat_plugin.ir import Cell, Edge, Head, Network, NetworkSize, Node, Op, Placement, cell_stack, is_connected, layout
from nat_plugin.ir.layers import Act, Conv, Norm

DARTS_OPS = tuple(
    map(
        Op.parse,
        (
            "null",
            "skip",
            "max_pool_3x3",
            "avg_pool_3x3",
            "sep_conv_3x3",
            "sep_conv_5x5",
            "dil_conv_3x3",
            "dil_conv_5x5",
        ),
    )
)
NAMES = {"skip_connect": "skip", "none": "null"}

DARTS_V2: dict[str, Any] = {
    "normal": [
        ("sep_conv_3x3", 0), ("sep_conv_3x3", 1), ("sep_conv_3x3", 0), ("sep_conv_3x3", 1),
        ("sep_conv_3x3", 1), ("skip_connect", 0), ("skip_connect", 0), ("dil_conv_3x3", 2),
    ],
    "normal_concat": [2, 3, 4, 5],
    "reduce": [
        ("max_pool_3x3", 0), ("max_pool_3x3", 1), ("skip_connect", 2), ("max_pool_3x3", 1),
        ("max_pool_3x3", 0), ("skip_connect", 2), ("skip_connect", 2), ("max_pool_3x3", 1),
    ],
    "reduce_concat": [2, 3, 4, 5],
}  # fmt: skip

WITH_NONES: dict[str, Any] = {
    "normal": [
        ("sep_conv_5x5", 0), ("none", 1), ("dil_conv_5x5", 2), ("avg_pool_3x3", 1),
        ("none", 0), ("none", 1), ("skip_connect", 3), ("none", 2),
    ],
    "normal_concat": [2, 3, 5],
    "reduce": [
        ("skip_connect", 0), ("none", 1), ("none", 0), ("dil_conv_3x3", 1),
        ("avg_pool_3x3", 0), ("skip_connect", 2), ("sep_conv_3x3", 3), ("none", 1),
    ],
    "reduce_concat": [2, 3, 4, 5],
}  # fmt: skip


def triples(entries: list[tuple[str, int]]) -> list[tuple[str, int, int]]:
    """Two entries per node, as DARTS lists them, with their targets."""
    return [(op, source, 2 + number // 2) for number, (op, source) in enumerate(entries)]


def darts_cell(entries: list[tuple[str, int, int]], output: list[int], level: int) -> Cell:
    count = max(max(target for _, _, target in entries), *output) - 1
    edges = tuple(
        Edge(source, target, Op.parse(NAMES.get(op, op)), str(number), DARTS_OPS)
        for number, (op, source, target) in enumerate(entries)
    )
    return Cell(2, tuple(Node(level) for _ in range(count)), edges, tuple(output), True)


def darts(genotype: dict[str, Any], channels: int = 4, cells: int = 3, size: NetworkSize | None = None) -> Network:
    """The evaluation network of a genotype with pairs (op, source) or triples (op, source, target)."""
    made = []
    for level, part in enumerate(("normal", "reduce")):
        entries = genotype[part]
        made.append(
            darts_cell(triples(entries) if len(entries[0]) == 2 else entries, genotype[f"{part}_concat"], level)
        )
    return cell_stack(made[0], made[1], size or NetworkSize(), channels, cells)


def bench201(ops: str, size: int = 8) -> Network:
    """A cell like those of NAS-Bench-201: one input, no projections, one output node, a residual block in between."""
    choices = tuple(map(Op.parse, ("null", "skip", "conv_1x1", "conv_3x3", "avg_pool_3x3")))
    pairs = [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)]
    edges = tuple(
        Edge(source, target, Op.parse(op), f"{source}->{target}", choices)
        for (source, target), op in zip(pairs, ops.split(), strict=True)
    )
    cell = Cell(1, (Node(), Node(), Node()), edges, (3,))
    block = Cell(
        1,
        (Node(1), Node(1)),
        (Edge(0, 1, Op.parse("conv_3x3")), Edge(1, 2, Op.parse("conv_3x3")), Edge(0, 2, Op.parse("conv_1x1"))),
        (2,),
    )
    placements = (
        Placement("cell", 4, (0,)), Placement("block", 8, (1,)), Placement("cell", 8, (2,)), Placement("cell", 8, (3,)),
    )  # fmt: skip
    stem = ((Conv(3, 4, (3, 3)), Norm(4)),)
    return Network((("cell", cell), ("block", block)), placements, stem, Head(5, (Norm(8), Act())), (3, size, size))


def mobile(size: int = 15) -> Network:
    """Blocks of their own, with levels, channels and norms of nodes, an editable inverted residual in the middle."""
    choices = tuple(map(Op.parse, ("mbconv_k5_e3_se0.25", "mbconv_k3_e3_se0", "mbconv_k0_e2_se0", "skip", "null")))
    cell = Cell(
        1,
        (Node(1, 6, norm=True), Node(1, 6), Node(2, 10, norm=True)),
        (
            Edge(0, 1, Op.parse("mbconv_k3_e1_se0.25")),
            Edge(1, 2, choices[0], "middle", choices),
            Edge(0, 2, Op.parse("conv_1x1"), "side", (Op.parse("conv_1x1"), Op.parse("null"))),
            Edge(2, 3, Op.parse("conv_3x3")),
        ),
        (3,),
    )
    head = Head(7, (Conv(10, 20), Norm(20), Act("hardswish")))
    stem = ((Conv(3, 8, (3, 3), (2, 2)), Norm(8), Act("silu")),)
    return Network((("block", cell),), (Placement("block", 10, (0,)),), stem, head, (3, size, size))


def uniform_wiring(template: Network, rng: np.random.Generator) -> Network:
    """Inputs and non-null ops of all editable edges drawn at random; output: the nodes that nobody reads."""
    cells = []
    for name, cell in template.cells:
        edges = tuple(
            replace(
                edge, source=int(rng.integers(edge.target)), op=edge.choices[int(rng.integers(1, len(edge.choices)))]
            )
            for edge in cell.edges
        )
        read = {edge.source for edge in edges}
        output = tuple(n for n in range(cell.inputs, cell.inputs + len(cell.nodes)) if n not in read)
        cells.append((name, replace(cell, edges=edges, output=output)))
    return template.with_cells(cells)


RANDOM_OPS = tuple(
    map(
        Op.parse,
        (
            "null", "skip", "max_pool_3x3", "max_pool_2x2", "avg_pool_3x3", "avg_pool_2x2", "avg_pool_5x5", "conv_1x1",
            "conv_3x3", "conv_7x1_1x7", "conv_1x3_3x1", "sep_conv_3x3", "sep_conv_7x7", "dil_conv_5x5",
            "mbconv_k3_e2_se0.25", "mbconv_k0_e1_se0", "mbconv_k5_e1_se0.5",
        ),
    )
)  # fmt: skip


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """Connected networks of random cells, sizes and channels: stacks with projections, or chains without."""
    project = draw(st.booleans())
    channels = draw(st.integers(2, 5))
    size = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    inputs = 2 if project else draw(st.integers(1, 2))
    made = []
    for level in (0, 1):
        nodes = tuple(
            Node(level, None if project else draw(st.sampled_from((None, 3))), draw(st.booleans()))
            for _ in range(draw(st.integers(1, 4)))
        )
        total = inputs + len(nodes)
        edges = [
            Edge(draw(st.integers(0, target - 1)), target, Op.parse("conv_1x1"), "", RANDOM_OPS)
            for target in range(inputs, total)
            for _ in range(draw(st.integers(1, 3)))
        ]
        output = draw(st.lists(st.integers(inputs, total - 1), min_size=1, max_size=3, unique=True))
        made.append(Cell(inputs, nodes, tuple(edges), tuple(output), project))
    if project:
        network = cell_stack(made[0], made[1], NetworkSize(input=(2, *size), classes=3), channels, 3)
    else:
        placements = tuple(
            Placement(name, channels, tuple(number for _ in range(inputs)))
            for number, name in enumerate(("normal", "reduce", "normal"))
        )
        stem = ((Conv(2, channels, (3, 3)), Norm(channels)),)
        network = Network((("normal", made[0]), ("reduce", made[1])), placements, stem, Head(3), (2, *size))
    for name, cell in network.cells:
        places = [placed for placed in layout(network).placed if placed.placement.cell == name]
        edges = []
        for index, edge in enumerate(cell.edges):
            legal = [op for op in RANDOM_OPS if all(op.legal(placed.sites[index]) for placed in places)]
            edges.append(replace(edge, op=draw(st.sampled_from(legal))))
        network = network.with_cells([(name, replace(cell, edges=tuple(edges)))])
    if is_connected(network):
        return network
    ends = [
        (
            name,
            replace(cell, edges=tuple(replace(e, op=Op.parse("conv_1x1")) if e.op.is_null else e for e in cell.edges)),
        )
        for name, cell in network.cells
    ]
    return network.with_cells(ends)
