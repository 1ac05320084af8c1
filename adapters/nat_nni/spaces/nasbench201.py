"""``NasBench201`` of NNI's hub as a network: the one of ``nat_nasbench``, so that strings and samples say the same.

Source: ``nni/nas/hub/pytorch/nasbench201.py`` of microsoft/nni v3.0. Edges are labelled ``cell/SOURCE_TARGET``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nat_nni.ops import NB201_OPS
from nat_nni.samples.described import SampleRemarks
from nat_nni.samples.values import Domain, Sample, require_all
from nat_plugin import NATError
from nat_plugin.ir import RESIDUAL_STAGES, Cell, Edge, Network, NetworkSize, Node, Origin, Shape, residual_stages

CELL = "cell"
LABELS = {f"{CELL}/{source}_{target}": (source, target) for target in (1, 2, 3) for source in range(target)}
"""Source and target of the edges, by target."""
_NAMES = {op: name for name, op in NB201_OPS.items()}


@dataclass(frozen=True)
class NB201Space:
    """``NasBench201`` with channels of the stem, cells in each stage, and classes."""

    channels: int = 16
    modules: int = 5
    classes: int = 10
    title: str = "NasBench201"
    input: Shape = (3, 32, 32)

    @classmethod
    def of(cls, space: Any) -> NB201Space:
        return cls(space.channels, space.num_modules, space.num_labels, type(space).__name__)

    def domains(self) -> Mapping[str, Domain]:
        return {label: Domain(tuple(NB201_OPS)) for label in LABELS}

    def read(self, sample: Sample, size: NetworkSize, origin: Origin) -> Network:
        """``size`` may give another width and depth than the space."""
        require_all(self.title, self.domains(), sample)
        edges = tuple(
            Edge(source, target, NB201_OPS[sample[label]], label, tuple(_NAMES))
            for label, (source, target) in LABELS.items()
        )
        around = residual_stages(CELL, size, self.channels, RESIDUAL_STAGES * self.modules)
        cells = ((CELL, Cell(1, (Node(),) * 3, edges, (3,))), *around.cells)
        return Network(cells, around.placements, around.stem, around.head, size.input, origin)

    def write(self, network: Network, sample: Sample | None) -> Sample:
        """NATError for anything but a cell of this space."""
        cell = network.by_name.get(CELL)
        ends = list(LABELS.values())
        if cell is None or [(edge.source, edge.target) for edge in cell.edges] != ends or cell.output != (3,):
            raise NATError(
                f"{self.title} cannot represent this network: it has no cell of four nodes with all six edges"
            )
        found: Sample = dict(sample or {})
        for edge, label in zip(cell.edges, LABELS, strict=True):
            if edge.op not in _NAMES:
                raise NATError(f"{self.title} cannot represent '{edge.op}' ({edge.key}); it has {', '.join(NB201_OPS)}")
            found[label] = _NAMES[edge.op]
        return found

    def remarks(self, sample: Sample, input: Shape) -> SampleRemarks:
        del sample, input
        return SampleRemarks()
