"""``NasBench201`` of NNI's hub as a network: the one of ``nat_nasbench``, so that strings and samples say the same.

Source: ``nni/nas/hub/pytorch/nasbench201.py`` of microsoft/nni v3.0. Edges are labelled ``cell/SOURCE_TARGET``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nat_nni.ops import NB201_OPS
from nat_nni.samples import Domain, Sample, require_all
from nat_plugin.errors import NATError
from nat_plugin.ir import Cell, Edge, Frame, Head, Network, Node, Op, Origin, Placement
from nat_plugin.ir.layers import Act, Norm, Shape
from nat_plugin.ir.skeletons import cifar_stem

CELL = "cell"
STAGES = 3
LABELS = {f"{CELL}/{source}_{target}": (source, target) for target in (1, 2, 3) for source in range(target)}
"""Source and target of the edges, by target."""
_NAMES = {op: name for name, op in NB201_OPS.items()}
_CONV, _SHORTCUT = Op.parse("conv_3x3"), Op("nb201_shortcut")
_RESIDUAL = Cell(1, (Node(1), Node(1)), (Edge(0, 1, _CONV), Edge(0, 2, _SHORTCUT), Edge(1, 2, _CONV)), (2,))


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

    def read(self, sample: Sample, frame: Frame, origin: Origin) -> Network:
        """``frame`` may give another width and depth than the space."""
        require_all(self.title, self.domains(), sample)
        edges = tuple(
            Edge(source, target, NB201_OPS[sample[label]], label, tuple(_NAMES))
            for label, (source, target) in LABELS.items()
        )
        channels, cells = frame.filled(self.channels, STAGES * self.modules)
        if cells % STAGES:
            raise NATError(
                f"cells: {self.title} has as many in each of its {STAGES} stages; {cells} cannot be divided so"
            )
        names = [CELL] * (cells // STAGES)
        for _ in range(STAGES - 1):
            names += ["residual", *[CELL] * (cells // STAGES)]
        placements, width = [], channels
        for number, name in enumerate(names):
            width *= 1 + (name != CELL)
            placements.append(Placement(name, width, (number,)))
        head = Head(frame.classes, (Norm(width), Act()))
        both = ((CELL, Cell(1, (Node(),) * 3, edges, (3,))), ("residual", _RESIDUAL))
        return Network(both, tuple(placements), cifar_stem(frame.input[0], channels), head, frame.input, origin)

    def write(self, network: Network, sample: Sample | None) -> Sample:
        """NATError for anything but a cell of this space."""
        cell = network.by_name.get(CELL)
        ends = list(LABELS.values())
        if cell is None or [(edge.source, edge.target) for edge in cell.edges] != ends or cell.output != (3,):
            raise NATError(f"{self.title} cannot say this network: it has no cell of four nodes with all six edges")
        found: Sample = dict(sample or {})
        for edge, label in zip(cell.edges, LABELS, strict=True):
            if edge.op not in _NAMES:
                raise NATError(f"{self.title} cannot say '{edge.op}' ({edge.key}); it has {', '.join(NB201_OPS)}")
            found[label] = _NAMES[edge.op]
        return found
