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

from nat_nni.framework import load
from nat_nni.samples.described import SampleRemarks
from nat_nni.samples.domains import domains_of
from nat_nni.samples.values import Domain, Sample
from nat_plugin import NATError
from nat_plugin.ir import (
    NULL,
    Act,
    Cell,
    Edge,
    Head,
    Network,
    NetworkSize,
    Node,
    Norm,
    Op,
    Opaque,
    Origin,
    Placement,
    Shape,
)
from nat_plugin.ir.vertices import CellPlace, conv_op, hidden_channels, op_name, vertex_cell

CELL = "cell"
_PASS, _DOWN = Op.parse("opaque:pass:0:0"), Op.parse("max_pool_2x2")
_COUNT, _FINAL = "the vertices stay", "it follows from the others"
_NEEDED = "without any of its edges channels would change, or a vertex would be cut off"


@dataclass(frozen=True)
class _Graph:
    """The live part of a sample: its edges, and the numbers that its vertices have in the sample."""

    matrix: np.ndarray
    numbers: tuple[int, ...]


class NB101Space:
    """``NasBench101`` as it stands in an instance."""

    input: Shape = (3, 32, 32)

    def __init__(self, space: Any) -> None:
        self.title = type(space).__name__
        self.classes = int(space.classifier.out_features)
        self._space = space

    def domains(self) -> Mapping[str, Domain]:
        return domains_of(self._space)

    def read(self, sample: Sample, network_size: NetworkSize, origin: Origin) -> Network:
        graph = self._graph(sample)
        places = list(self._places(network_size.input))
        matrix = tuple(tuple(map(int, row)) for row in graph.matrix)
        hidden = hidden_channels(matrix, places)

        def connection(source: int, target: int) -> Op:
            """From the input a projection, whose parameters are in the stem; else the tensor itself."""
            ends = [place.c_in for place in places], [channels[target] for channels in hidden]
            return _PASS if source else conv_op("projection", places, ends, 1, with_params=False)

        def key(target: int, source: int | None) -> str:
            number = graph.numbers[target]
            return f"{CELL}/op{number}" if source is None else f"{CELL}/input{number}:{graph.numbers[source]}"

        ops = [sample[key(vertex, None)] for vertex in range(1, len(matrix) - 1)]
        cell = vertex_cell(matrix, places, ops, connection, key)
        return self._around(cell, places, hidden, network_size, origin)

    def write(self, network: Network, sample: Sample | None) -> Sample:
        if sample is None:
            raise NATError(f"{self.title} cannot represent a network from another format")
        cell = network.by_name.get(CELL)
        if cell is None:
            raise NATError(f"{self.title} cannot represent this network: it has no cell '{CELL}'")
        found = {label: list(value) if isinstance(value, list) else value for label, value in sample.items()}
        moved = False
        for edge in cell.edges:
            label, _, source = edge.key.partition(":")
            if source and edge.op == NULL:
                found[label].remove(int(source))
                moved = True
            elif not source:
                name = op_name(edge.op)
                moved |= found[label] != name
                found[label] = name
        constraint = f"{CELL}/final"
        if moved and constraint in found:
            del found[constraint]
            self._space.check_contains(found)  # NNI writes what follows from the others into the sample
        return found

    def remarks(self, sample: Sample, input: Shape) -> SampleRemarks:
        del sample, input
        inputs = {label: _NEEDED for label in self.domains() if label.startswith(f"{CELL}/input")}
        return SampleRemarks({f"{CELL}/num_nodes": _COUNT, f"{CELL}/final": _FINAL, **inputs})

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

    def _places(self, image: Shape) -> Iterator[CellPlace]:
        _, height, width = image
        for layer in self._space.features:
            if hasattr(layer, "in_features"):
                yield CellPlace(layer.in_features, layer.out_features, height, width)
            else:
                height, width = height // 2, width // 2

    def _around(
        self,
        cell: Cell,
        places: Sequence[CellPlace],
        hidden: Sequence[tuple[int, ...]],
        network_size: NetworkSize,
        origin: Origin,
    ) -> Network:
        projections = sum(
            place.c_in * each + 2 * each
            for place, channels in zip(places, hidden, strict=True)
            for each in channels[1:]
        )
        channels, height, size = network_size.input
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
        return Network(cells, tuple(placements), (stem,), Head(self.classes), network_size.input, origin)
