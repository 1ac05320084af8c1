"""Cells of NAS-Bench-101, and the network of that benchmark.

Source: ``nasbench/lib/model_builder.py`` of google-research/nasbench. A 3x3 stem of 128 channels, three stacks of three
cells, of which the second and the third begin with a max pool of stride 2 and have twice the channels. What the input
sends to a vertex or to the output passes a pointwise convolution with norm and ReLU.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nat_nasbench.forms101 import INPUT, OUTPUT, Spec, find_spec, looks_like_one, spelled
from nat_plugin import Adapter, NATError
from nat_plugin.extending import Published, refusal
from nat_plugin.ir import (
    NULL,
    Act,
    Cell,
    Edge,
    Head,
    Network,
    NetworkSize,
    Node,
    Op,
    Origin,
    Placement,
    cifar_stem,
    strided,
)
from nat_plugin.ir.vertices import KERNELS, CellPlace, alive, conv_op, hidden_channels, op_name, part, vertex_cell

if TYPE_CHECKING:
    from torch import nn

CHANNELS, STACKS, CELLS = 128, 3, 9
MAX_CELLS = 27
"""A cell states its costs at each."""
CELL, DOWN = "cell", "down"
_INCEPTION = ((1, 2), (1, 3), (1, 4), (1, 6), (2, 7), (3, 7), (4, 5), (5, 7), (6, 7))
_INCEPTION_OPS = (*("conv1x1-bn-relu", "conv3x3-bn-relu", "conv3x3-bn-relu", "conv3x3-bn-relu", "maxpool3x3"),)


class NB101Adapter(Adapter):
    """Cells of NAS-Bench-101."""

    name = "nasbench101"
    summary = "NAS-Bench-101 cells: ModelSpec(matrix=[[0, 1, …], …], ops=['input', 'conv3x3-bn-relu', …, 'output'])"
    version = "1"

    def recognises(self, text: str) -> bool:
        return looks_like_one(text)

    def near(self, text: str) -> str | None:
        return refusal(find_spec, text) if any(name in text for name in KERNELS) else None

    def read(self, text: str, size: NetworkSize) -> Network:
        """The network has 128 channels and 9 cells unless ``size`` says otherwise. Vertices that are on no way to the
        output are not built, as in the benchmark. Raises NATError that names the row or the vertex."""
        return _network(find_spec(text), size, Origin(self.name, self.version, text))

    def write(self, network: Network) -> str:
        """In the layout of the text that the network was read from; edges that went are 0. NATError for a network from
        another format."""
        if network.origin is None or network.origin.format != self.name:
            raise NATError("a cell of NAS-Bench-101 can only be written for a network that was read from one")
        spec = find_spec(network.origin.payload)
        return spec.rewritten(*moved(spec, network))

    def module(self, network: Network) -> nn.Module:
        """Its ops state costs only; this is what they stand for."""
        from nat_nasbench.module101 import NB101Network

        assert network.origin is not None
        ops, matrix = moved(find_spec(network.origin.payload), network)
        kept = alive(matrix)
        stages = [(placement.channels, placement.cell == DOWN) for placement in network.placements]
        inner = [ops[vertex] for vertex in kept[1:-1]]
        return NB101Network(part(matrix, kept), inner, stages, network.input[0], network.head.classes)

    def published(self) -> Mapping[str, Published]:
        last = len(_INCEPTION_OPS) + 2
        matrix = tuple(
            tuple(int((row, column) in _INCEPTION) for column in range(1, last + 1)) for row in range(1, last + 1)
        )
        text = spelled(matrix, (INPUT, *_INCEPTION_OPS, OUTPUT))
        return {"NB101_Inception": Published(text, "google-research/nasbench b94247037ee4 README.md")}


def moved(spec: Spec, network: Network) -> tuple[tuple[str, ...], tuple[tuple[int, ...], ...]]:
    """The ops and the matrix of a network that was read from ``spec``. NATError if it is none."""
    cell = network.by_name.get(CELL)
    ops, matrix = list(spec.ops), [list(row) for row in spec.matrix]
    for edge in cell.edges if cell else ():
        target, _, source = edge.key.partition("<")
        if source and edge.op == NULL:
            matrix[int(source)][int(target)] = 0
        elif not source:
            if edge.op not in edge.choices:
                raise NATError(f"a cell of NAS-Bench-101 cannot represent '{edge.op}' at vertex {target}")
            ops[int(target)] = op_name(edge.op)
    return tuple(ops), tuple(map(tuple, matrix))


def _network(spec: Spec, size: NetworkSize, origin: Origin) -> Network:
    kept = alive(spec.matrix)
    if not kept:
        raise NATError("matrix: no edges lead from the input to the output")
    channels, cells = size.filled(CHANNELS, CELLS)
    if cells % STACKS or cells > MAX_CELLS:
        raise NATError(
            f"cells: NAS-Bench-101 has the same number in each of its {STACKS} stacks, up to {MAX_CELLS}; not {cells}"
        )
    matrix, places = part(spec.matrix, kept), _places(size, channels, cells)
    hidden = hidden_channels(matrix, places)
    passed = Op.parse("opaque:pass:0:0")

    def connection(source: int, target: int) -> Op:
        ends = [place.c_in for place in places], [each[target] for each in hidden]
        return passed if source else conv_op("projection", places, ends, 1)

    def key(target: int, source: int | None) -> str:
        return f"{kept[target]}" if source is None else f"{kept[target]}<{kept[source]}"

    cell = vertex_cell(matrix, places, [spec.ops[vertex] for vertex in kept[1:-1]], connection, key)
    down = Cell(1, (Node(1),), (Edge(0, 1, Op.parse("max_pool_2x2")),), (1,))
    placements: list[Placement] = []
    for stack in range(STACKS):
        names = [DOWN] * (stack > 0) + [CELL] * (cells // STACKS)
        for name in names:
            width = channels * 2 ** (stack - (name == DOWN))
            placements.append(Placement(name, width, (len(placements),)))
    (stem,) = cifar_stem(size.input[0], channels)
    cells_by_name = ((CELL, cell), (DOWN, down))
    return Network(cells_by_name, tuple(placements), ((*stem, Act()),), Head(size.classes), size.input, origin)


def _places(size: NetworkSize, channels: int, cells: int) -> list[CellPlace]:
    found: list[CellPlace] = []
    _, height, width = size.input
    before = channels
    for stack in range(STACKS):
        if stack:
            height, width = strided(height, 2), strided(width, 2)
        for _ in range(cells // STACKS):
            found.append(CellPlace(before, channels * 2**stack, height, width))
            before = channels * 2**stack
    return found
