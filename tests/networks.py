"""Random networks for hypothesis, and published cells as networks."""

from __future__ import annotations

import ast
from functools import cache
from typing import Any

from hypothesis import strategies as st

from nat_plugin.ir import NULL, SKIP, Cell, Edge, Head, Network, NetworkSize, Node, Op, Placement, cell_stack, layout
from nat_plugin.ir.layers import Conv, Norm
from nat_plugin.ir.skeletons import at_level
from nat_plugin.plugins import plugins

DARTS_OPS = tuple(
    Op.parse(text)
    for text in (
        *("null", "skip", "max_pool_3x3", "avg_pool_3x3", "sep_conv_3x3", "sep_conv_5x5"),
        *("dil_conv_3x3", "dil_conv_5x5"),
    )
)
WIDE_OPS = DARTS_OPS + tuple(
    Op.parse(text)
    for text in (
        *("sep_conv_7x7", "conv_1x1", "conv_3x3", "conv_5x5", "conv_7x1_1x7", "conv_1x3_3x1", "max_pool_2x2"),
        *("avg_pool_5x5", "mbconv_k3_e2_se0", "mbconv_k5_e3_se0.25", "mbconv_k0_e1_se0", "opaque:mine:120:4000"),
    )
)


def ops(pool: tuple[Op, ...] = WIDE_OPS) -> st.SearchStrategy[Op]:
    """Any of a pool of ops."""
    return st.sampled_from(pool)


@st.composite
def cells(draw: st.DrawFn, inputs: int | None = None, most_nodes: int = 6, project: bool | None = None) -> Cell:
    """A wiring: nodes at two levels, some parallel edges, an output of any of the last level. All edges are null."""
    inputs = draw(st.integers(1, 3)) if inputs is None else inputs
    count = draw(st.integers(1, most_nodes))
    first_small = draw(st.integers(0, count)) if draw(st.booleans()) else count
    nodes = tuple(Node(int(number >= first_small), norm=draw(st.integers(0, 4)) == 0) for number in range(count))
    edges = []
    for target in range(inputs, inputs + count):
        for source in draw(st.lists(st.integers(0, target - 1), max_size=3)):
            edges.append(Edge(source, target, NULL, key=f"{len(edges)}"))
    last = nodes[-1].level
    ends = [number for number, node in enumerate(nodes, start=inputs) if node.level == last]
    if last == 0 and draw(st.integers(0, 3)) == 0:
        ends += range(inputs)
    output = tuple(draw(st.lists(st.sampled_from(ends), min_size=1, max_size=4, unique=True)))
    return Cell(inputs, nodes, tuple(edges), output, draw(st.booleans()) if project is None else project)


@st.composite
def networks(
    draw: st.DrawFn, pool: tuple[Op, ...] = WIDE_OPS, most_nodes: int = 6, most_slots: int | None = None
) -> Network:
    """Any network with valid shapes: connected or not, with fixed and editable edges, choices with and without null."""
    channels = draw(st.integers(1, 4)) * 2
    size = draw(st.integers(5, 9))
    stem = tuple(
        ((Conv(3 if stage == 0 else channels, channels, (3, 3)), Norm(channels)))
        for stage in range(draw(st.integers(1, 2)))
    )
    project = draw(st.booleans())
    drawn = {f"cell{n}": draw(cells(most_nodes=most_nodes, project=project)) for n in range(draw(st.integers(1, 2)))}
    bare = Network(tuple(drawn.items()), (), stem, Head(draw(st.integers(2, 5))), (3, size, size))
    for number in range(draw(st.integers(1, 4))):
        name = draw(st.sampled_from(sorted(drawn)))
        tensors = layout(bare).tensors
        sources = draw(_sources(tensors, drawn[name]))
        placement = Placement(name, channels * draw(st.sampled_from((1, 1, 2))), sources)
        bare = Network(bare.cells, (*bare.placements, placement), stem, bare.head, bare.input)
        del number
    sites: dict[tuple[str, int], list[object]] = {}
    for placed in layout(bare).placed:
        for index, site in enumerate(placed.sites):
            sites.setdefault((placed.placement.cell, index), []).append(site)
    left = most_slots
    filled = []
    for name, cell in bare.cells:
        edges = []
        for index, edge in enumerate(cell.edges):
            fitting = [op for op in pool if all(op.legal(site) for site in sites.get((name, index), ()))]  # type: ignore[arg-type]
            op = draw(st.sampled_from(fitting)) if draw(st.integers(0, 5)) else NULL
            choices: tuple[Op, ...] = ()
            if draw(st.integers(0, 4)) and left != 0:
                choices = tuple(dict.fromkeys([op, *draw(st.lists(st.sampled_from(fitting), max_size=5))]))
                choices += tuple(extra for extra in (NULL, SKIP) if extra not in choices and draw(st.booleans()))
            if left is not None and len(choices) > 1:
                left -= 1
            edges.append(Edge(edge.source, edge.target, op, f"{name}/{index}", choices))
        filled.append((name, Cell(cell.inputs, cell.nodes, tuple(edges), cell.output, cell.project)))
    return Network(tuple(filled), bare.placements, stem, bare.head, bare.input)


@st.composite
def _sources(draw: st.DrawFn, tensors: tuple[tuple[int, int, int], ...], cell: Cell) -> tuple[int, ...]:
    """Tensors that a cell can read: of one resolution, or with ``project`` of that of the last or twice as large."""
    last = draw(st.integers(0, len(tensors) - 1)) if draw(st.booleans()) else len(tensors) - 1
    size = tensors[last][1]
    fitting = [n for n, shape in enumerate(tensors) if shape[1] == size or (cell.project and -(-shape[1] // 2) == size)]
    return (*(draw(st.sampled_from(fitting)) for _ in range(cell.inputs - 1)), last)


@cache
def published() -> dict[str, dict[str, Any]]:
    """The cells that ship with the adapter ``darts``, by name: the four fields, entries as (op, source, target). They
    are read here a second time, so that what is checked with them does not rest on the adapter."""
    return {
        name: _fields(entry.text, target_first=name.startswith("FairDARTS"))
        for name, entry in plugins().adapters["darts"].published().items()
    }


def _fields(text: str, target_first: bool) -> dict[str, Any]:
    call = ast.parse(text, mode="eval").body
    assert isinstance(call, ast.Call)
    found: dict[str, Any] = {}
    for field in call.keywords:
        assert field.arg is not None
        if field.arg.endswith("_concat"):
            found[field.arg] = _numbers(field.value)
            continue
        entries = ast.literal_eval(field.value)
        order = (0, 2, 1) if target_first else (0, 1, 2)
        found[field.arg] = [
            tuple(entry[at] for at in order) if len(entry) == 3 else (*entry, 2 + number // 2)
            for number, entry in enumerate(entries)
        ]
    return found


def _numbers(value: ast.expr) -> list[int]:
    """A list of numbers, or ``range(2, 6)``."""
    if isinstance(value, ast.Call):
        return list(range(*map(ast.literal_eval, value.args)))
    return list(ast.literal_eval(value))


_NAMES = {"skip_connect": "skip", "none": "null"}


def genotype_cell(edges: list[tuple[str, int, int]], concat: list[int], choices: tuple[Op, ...] = DARTS_OPS) -> Cell:
    """A cell of the DARTS family: two projected inputs, the listed nodes side by side."""
    count = max(*(target for _, _, target in edges), *concat) - 1
    found = []
    for number, (name, source, target) in enumerate(edges):
        op = Op.parse(_NAMES.get(name, name))
        found.append(Edge(source, target, op, str(number), choices if op in choices else (op, *choices)))
    return Cell(2, (Node(),) * count, tuple(found), tuple(concat), project=True)


def genotype_network(name: str, size: NetworkSize | None = None, choices: tuple[Op, ...] = DARTS_OPS) -> Network:
    """A published cell in the network of DARTS: 36 channels and 20 cells unless the size says otherwise."""
    entry = published()[name]
    normal = genotype_cell(entry["normal"], entry["normal_concat"], choices)
    reduce = genotype_cell(entry["reduce"], entry["reduce_concat"], choices)
    size = size or NetworkSize()
    channels, cells_ = size.filled(36, 20)
    return cell_stack(normal, at_level(reduce, 1), size, channels, cells_)
