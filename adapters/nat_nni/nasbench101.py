"""``NasBench101`` of NNI's hub as a network: the ops of its vertices, and those edges that can go without a trace.

Source: ``nni/nas/hub/pytorch/nasbench101.py`` and ``modules/nasbench101.py`` of microsoft/nni v3.0. Channels of a
vertex follow from the wiring, so only edges between vertices whose removal changes no channels and cuts off no vertex
may become null; those to the output stay. A vertex has a projection of the input, used or not: the unused ones count
among the parameters, in the stem here, and not among the MACs, as in the model that NNI builds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nat_nni.domains import domains_of
from nat_nni.framework import load
from nat_nni.samples import Domain, Sample
from nat_plugin.errors import NATError
from nat_plugin.ir import NULL, Cell, Edge, Frame, Head, Network, Node, Op, Origin, Placement
from nat_plugin.ir.layers import Act, Norm, Opaque, Shape

CELL = "cell"
KERNELS: Mapping[str, int | None] = {"conv3x3-bn-relu": 3, "conv1x1-bn-relu": 1, "maxpool3x3": None}
"""Ops of a vertex: the kernel of their convolution (None: there is none)."""
_PASS, _DOWN = "opaque:pass:0:0", Op.parse("max_pool_2x2")


@dataclass(frozen=True)
class _Place:
    """A cell in depth: its channels before and after, and the size of its images."""

    c_in: int
    c_out: int
    height: int
    width: int


@dataclass(frozen=True)
class _Graph:
    """The live part of a sample: its edges, and the numbers that its vertices have in the sample."""

    matrix: np.ndarray
    numbers: tuple[int, ...]

    @property
    def last(self) -> int:
        return len(self.matrix) - 1


class NB101Space:
    """``NasBench101`` as it stands in an instance."""

    input: Shape = (3, 32, 32)

    def __init__(self, space: Any) -> None:
        self.title = type(space).__name__
        self.classes = int(space.classifier.out_features)
        self._space = space

    def domains(self) -> Mapping[str, Domain]:
        return domains_of(self._space)

    def read(self, sample: Sample, frame: Frame, origin: Origin) -> Network:
        graph = self._graph(sample)
        places = list(self._places(frame.input))
        hidden = [self._channels(graph.matrix, place) for place in places]
        last, vertices = graph.last, range(1, graph.last)
        edges = []
        for target in range(1, last + 1):
            into = _node_in(target, last)
            for source in np.flatnonzero(graph.matrix[:, target]):
                key = f"{CELL}/input{graph.numbers[target]}:{graph.numbers[source]}"
                op = self._connection(int(source), target, places, hidden)
                removable = self._removable(graph.matrix, places)
                choices = (op, NULL) if (int(source), target) in removable else ()
                edges.append(Edge(_node_out(int(source)), into, op, key, choices))
            if target in vertices:
                label = f"{CELL}/op{graph.numbers[target]}"
                table = {name: _vertex(name, target, places, hidden) for name in KERNELS}
                edges.append(Edge(into, into + 1, table[sample[label]], label, tuple(table.values())))
        cell = Cell(1, (Node(),) * (2 * len(vertices) + 1), tuple(edges), (2 * len(vertices) + 1,))
        return self._around(cell, places, hidden, frame, origin)

    def write(self, network: Network, sample: Sample | None) -> Sample:
        if sample is None:
            raise NATError(f"{self.title} cannot say a network that came from another format")
        cell = network.by_name.get(CELL)
        if cell is None:
            raise NATError(f"{self.title} cannot say this network: it has no cell '{CELL}'")
        found = {label: list(value) if isinstance(value, list) else value for label, value in sample.items()}
        moved = False
        for edge in cell.edges:
            label, _, source = edge.key.partition(":")
            if source and edge.op == NULL:
                found[label].remove(int(source))
                moved = True
            elif not source:
                name = str(edge.op.values["name"]).split("/")[0]
                moved |= found[label] != name
                found[label] = name
        constraint = f"{CELL}/final"
        if moved and constraint in found:
            del found[constraint]
            self._space.check_contains(found)  # NNI writes what follows from the others into the sample
        return found

    def _graph(self, sample: Sample) -> _Graph:
        """NATError where NNI refuses the sample."""
        error = self._space.check_contains(dict(sample))
        if error is not None:
            raise NATError(f"sample: {self.title} refuses it: {str(error)[:300]}")
        count = sample[f"{CELL}/num_nodes"]
        module = load("nni.nas.hub.pytorch.modules.nasbench101")
        wiring = [sample[f"{CELL}/input{number}"] for number in range(1, count)]
        matrix = module._NasBench101CellFixed.build_connection_matrix(wiring, count)
        matrix, numbers = module.prune(matrix, list(range(count)))
        return _Graph(matrix, tuple(numbers))

    def _channels(self, matrix: np.ndarray, place: _Place) -> list[int]:
        module = load("nni.nas.hub.pytorch.modules.nasbench101")
        return [int(each) for each in module.compute_vertex_channels(place.c_in, place.c_out, matrix)]

    def _removable(self, matrix: np.ndarray, places: Sequence[_Place]) -> set[tuple[int, int]]:
        """Edges between vertices, and from the input to one, that can go, alone or together."""
        last = len(matrix) - 1
        now = [self._channels(matrix, place) for place in places]
        found: set[tuple[int, int]] = set()
        left = matrix.copy()
        for target in range(1, last):
            for source in range(target):
                if not left[source, target]:
                    continue
                left[source, target] = 0
                whole = all(left[:, v].any() and left[v, :].any() for v in range(1, last))
                if whole and [self._channels(left, place) for place in places] == now:
                    found.add((source, target))
                else:
                    left[source, target] = 1
        return found

    def _places(self, image: Shape) -> Iterator[_Place]:
        _, height, width = image
        for layer in self._space.features:
            if hasattr(layer, "in_features"):
                yield _Place(layer.in_features, layer.out_features, height, width)
            else:
                height, width = height // 2, width // 2

    def _connection(self, source: int, target: int, places: Sequence[_Place], hidden: Sequence[list[int]]) -> Op:
        """From the input a projection, whose parameters are in the stem; else the tensor itself."""
        if source:
            return Op.parse(_PASS)
        macs = [p.c_in * channels[target] * p.height * p.width for p, channels in zip(places, hidden, strict=True)]
        return Op.parse(f"opaque:projection:0:{','.join(map(str, macs))}")

    def _around(
        self, cell: Cell, places: Sequence[_Place], hidden: Sequence[list[int]], frame: Frame, origin: Origin
    ) -> Network:
        projections = sum(
            place.c_in * each + 2 * each
            for place, channels in zip(places, hidden, strict=True)
            for each in channels[1:]
        )
        channels, height, size = frame.input
        width = int(self._space.stem_conv.out_channels)
        conv = Opaque("conv_3x3", (9 * channels * width, 9 * channels * width * height * size), width)
        stem = (conv, Norm(width), Act(), Opaque("projections", (projections, 0), width))
        down = Cell(1, (Node(1),), (Edge(0, 1, _DOWN),), (1,))
        placements: list[Placement] = []
        for layer in self._space.features:
            if hasattr(layer, "in_features"):
                width = int(layer.out_features)
                placements.append(Placement(CELL, width, (len(placements),)))
            else:
                placements.append(Placement("down", width, (len(placements),)))
        cells = ((CELL, cell), ("down", down))
        return Network(cells, tuple(placements), (stem,), Head(self.classes), frame.input, origin)


def _node_in(vertex: int, last: int) -> int:
    """The node that sums the inputs of a vertex; the output is a node of its own."""
    return 2 * vertex - 1 if vertex < last else 2 * last - 1


def _node_out(vertex: int) -> int:
    return 2 * vertex


def _vertex(name: str, vertex: int, places: Sequence[_Place], hidden: Sequence[list[int]]) -> Op:
    """The op of a vertex with its costs at every placement."""
    kernel = KERNELS[name]
    if kernel is None:
        return Op.parse(f"opaque:{name}:0:0")
    params, macs = [], []
    for place, channels in zip(places, hidden, strict=True):
        weights = kernel**2 * channels[vertex] ** 2
        params.append(weights + 2 * channels[vertex])
        macs.append(weights * place.height * place.width)
    return Op.parse(f"opaque:{name}:{','.join(map(str, params))}:{','.join(map(str, macs))}")
