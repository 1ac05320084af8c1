"""Cells with their operations at the vertices, as NAS-Bench-101 has them, in the IR, which has them on edges.

A vertex becomes two nodes: the sum of what enters it, and what its op makes of that. Its channels follow from the whole
wiring (``compute_vertex_channels`` of google-research/nasbench), so its op states what it costs at every placement, and
only those edges can go whose removal changes no channels. Vertex 0 is the input, the last one the output.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from nat_plugin.ir.network import Cell, Edge, Node
from nat_plugin.ir.ops import NULL, Op

__all__ = [
    "KERNELS",
    "CellPlace",
    "Matrix",
    "alive",
    "conv_op",
    "hidden_channels",
    "op_name",
    "part",
    "removable",
    "vertex_cell",
    "vertex_channels",
    "vertex_op",
]
Matrix: TypeAlias = tuple[tuple[int, ...], ...]
"""0 or 1 for an edge from the vertex of the row to that of the column, which comes after it."""
KERNELS: Mapping[str, int | None] = {"conv3x3-bn-relu": 3, "conv1x1-bn-relu": 1, "maxpool3x3": None}
"""Ops of a vertex: the kernel of their convolution (None: there is none)."""


@dataclass(frozen=True)
class CellPlace:
    """A cell in depth: its channels before and after, and the size of its images."""

    c_in: int
    c_out: int
    height: int
    width: int


def alive(matrix: Matrix) -> tuple[int, ...]:
    """The vertices on a path from the input to the output; none if there is no such path."""
    last = len(matrix) - 1
    fed, used = {0}, {last}
    for vertex in range(1, last + 1):
        if any(matrix[source][vertex] for source in fed):
            fed.add(vertex)
    for vertex in reversed(range(last)):
        if any(matrix[vertex][target] for target in used):
            used.add(vertex)
    return tuple(sorted(fed & used)) if last in fed else ()


def part(matrix: Matrix, vertices: Sequence[int]) -> Matrix:
    """The edges between some of the vertices."""
    return tuple(tuple(matrix[row][column] for column in vertices) for row in vertices)


def vertex_channels(c_in: int, c_out: int, matrix: Matrix) -> tuple[int, ...]:
    """The channels of every vertex. Those that the output concatenates share its channels, the first ones get what is
    left over; any other has as many as the widest that reads it."""
    last = len(matrix) - 1
    channels = [c_in, *[0] * (last - 1), c_out]
    read = [vertex for vertex in range(1, last) if matrix[vertex][last]]
    for number, vertex in enumerate(read):
        channels[vertex] = c_out // len(read) + (number < c_out % len(read))
    for vertex in reversed(range(1, last)):
        if vertex not in read:
            channels[vertex] = max(
                (channels[after] for after in range(vertex, last) if matrix[vertex][after]), default=0
            )
    return tuple(channels)


def hidden_channels(matrix: Matrix, places: Sequence[CellPlace]) -> list[tuple[int, ...]]:
    """The channels of every vertex at every placement."""
    return [vertex_channels(place.c_in, place.c_out, matrix) for place in places]


def removable(matrix: Matrix, places: Sequence[CellPlace]) -> set[tuple[int, int]]:
    """Edges between vertices, and from the input to one, that can go, alone or together."""
    last = len(matrix) - 1
    now = hidden_channels(matrix, places)
    found: set[tuple[int, int]] = set()
    left = [list(row) for row in matrix]
    for target in range(1, last):
        for source in range(target):
            if not left[source][target]:
                continue
            left[source][target] = 0
            changed = tuple(map(tuple, left))
            if len(alive(changed)) == len(matrix) and hidden_channels(changed, places) == now:
                found.add((source, target))
            else:
                left[source][target] = 1
    return found


def vertex_cell(
    matrix: Matrix,
    places: Sequence[CellPlace],
    ops: Sequence[str],
    connection: Callable[[int, int], Op],
    key: Callable[[int, int | None], str],
) -> Cell:
    """The cell of vertices that are all alive. ``ops`` are those of the inner vertices, ``connection`` gives the op of
    an edge by its ends, ``key`` the key of an edge by target and source, or of the op of a vertex (source None)."""
    last, hidden, loose = len(matrix) - 1, hidden_channels(matrix, places), removable(matrix, places)
    edges = []
    for target in range(1, last + 1):
        into = 2 * target - 1
        for source in range(target):
            if matrix[source][target]:
                op = connection(source, target)
                choices = (op, NULL) if (source, target) in loose else ()
                edges.append(Edge(2 * source, into, op, key(target, source), choices))
        if target < last:
            table = {name: vertex_op(name, places, [channels[target] for channels in hidden]) for name in KERNELS}
            edges.append(Edge(into, into + 1, table[ops[target - 1]], key(target, None), tuple(table.values())))
    count = 2 * last - 1
    return Cell(1, (Node(),) * count, tuple(edges), (count,))


def vertex_op(name: str, places: Sequence[CellPlace], channels: Sequence[int]) -> Op:
    """The op of a vertex that has these channels at these placements."""
    kernel = KERNELS[name]
    if kernel is None:
        return Op.parse(f"opaque:{name}:0:0")
    return conv_op(name, places, (channels, channels), kernel)


def conv_op(
    name: str,
    places: Sequence[CellPlace],
    channels: tuple[Sequence[int], Sequence[int]],
    kernel: int,
    with_params: bool = True,
) -> Op:
    """A convolution with norm and its costs at every placement, by the channels before and after it; without its
    parameters where others count them."""
    weights = [kernel**2 * before * after for before, after in zip(*channels, strict=True)]
    params = [each + 2 * after if with_params else 0 for each, after in zip(weights, channels[1], strict=True)]
    macs = [each * place.height * place.width for each, place in zip(weights, places, strict=True)]
    return Op.parse(f"opaque:{name}:{_each(params)}:{_each(macs)}")


def _each(values: Sequence[int]) -> str:
    return ",".join(map(str, values[:1] if len(set(values)) == 1 else values))


def op_name(op: Op) -> str:
    """The name of the op of a vertex, ``conv3x3-bn-relu``."""
    return str(op.values["name"])
