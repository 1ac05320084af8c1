"""The cell spaces of NNI's hub as networks: DARTS, ENAS, AmoebaNet, NASNet, PNAS, and whoever else is an ``NDS``.

Source: ``nni/nas/hub/pytorch/nasnet.py`` of microsoft/nni v3.0. It has the stem, the projections, the places of the
reduction cells and the head of DARTS, so ``cell_stack`` is the network around the cells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from nat_nni.ops import NDS_OPS
from nat_nni.samples.described import SampleRemarks
from nat_nni.samples.values import Domain, Sample, require_all
from nat_plugin import NATError
from nat_plugin.ir import (
    NULL,
    Cell,
    Edge,
    Network,
    NetworkSize,
    Node,
    Op,
    Origin,
    Shape,
    at_level,
    canonical_cell,
    cell_stack,
)

CELL_NAMES = ("normal", "reduce")
"""In the order of their level: the nodes of the reduction cell lie one halving below its inputs."""
INPUTS = PER_NODE = 2
WIDTH, CELLS = (16, 24, 32), (4, 8, 12, 16, 20)
"""What the hub's spaces choose from unless they are told otherwise."""
_SHAPES: Mapping[str, Shape] = {"cifar": (3, 32, 32), "imagenet": (3, 224, 224)}
_CLASSES = {"cifar": 10, "imagenet": 1000}
_KEPT, _SIZE = "an edge keeps its source", "it is the size of the whole network"
_NAMES = {op: name for name, op in NDS_OPS.items()}


@dataclass(frozen=True)
class NDSSpace:
    """An ``NDS``: its ops, nodes per cell, and whether the output of a cell is what no other node uses
    (``loose_ends``) or all nodes. ``drops_dead``: it builds only what is alive (``nat_nni.spaces``)."""

    title: str
    ops: tuple[str, ...]
    loose_ends: bool
    nodes: int
    width: int | tuple[int, ...] = WIDTH
    cells: int | tuple[int, ...] = CELLS
    dataset: str = "cifar"
    drops_dead: bool = False

    def __post_init__(self) -> None:
        unknown = [name for name in self.ops if name not in NDS_OPS]
        if unknown:
            raise NATError(f"{self.title}: op '{unknown[0]}' is not supported; known: {', '.join(NDS_OPS)}")

    @classmethod
    def of(cls, space: Any) -> NDSSpace:
        """From an instance of ``NDS``."""
        domains = {label: mutable.values for label, mutable in space.simplify().items() if label in ("width", "depth")}
        return cls(
            type(space).__name__,
            tuple(space.op_candidates),
            space.merge_op == "loose_end",
            space.num_nodes_per_cell,
            tuple(domains["width"]) if "width" in domains else space.width,
            tuple(domains["depth"]) if "depth" in domains else space.num_cells,
            space.dataset,
            bool(getattr(space, "drops_dead", False)),
        )

    @property
    def input(self) -> Shape:
        return _SHAPES[self.dataset]

    @property
    def classes(self) -> int:
        return _CLASSES[self.dataset]

    def domains(self) -> Mapping[str, Domain]:
        found: dict[str, Domain] = {}
        for name in CELL_NAMES:
            for node in range(INPUTS, INPUTS + self.nodes):
                for number in range(PER_NODE):
                    found[f"{name}/op_{node}_{number}"] = Domain(self.ops)
                    found[f"{name}/input_{node}_{number}"] = Domain(tuple(range(node)), many=True, count=1)
        for label, values in (("width", self.width), ("depth", self.cells)):
            if not isinstance(values, int):
                found[label] = Domain(values)
        return found

    def read(self, sample: Sample, size: NetworkSize, origin: Origin) -> Network:
        """``size`` may give another width and depth than the space."""
        require_all(self.title, self.domains(), {"width": None, "depth": None, **sample})
        width, depth = size.channels or self._size(sample, "width"), size.cells or self._size(sample, "depth")
        if depth < 2:
            raise NATError(f"{self.title} of one cell is not supported; it takes 2 or more")
        normal, reduce = (self._cell(sample, name) for name in CELL_NAMES)
        at_home = replace(size, input=(size.input[0], *self.input[1:]))
        network = cell_stack(normal, reduce, at_home, width, depth, origin)
        return network if at_home == size else replace(network, input=size.input)

    def canonical(self, sample: Sample) -> dict[str, Cell]:
        """The cells of a sample without what is dead. NATError if nothing is left of one."""
        return {name: canonical_cell(self._cell(sample, name)) for name in CELL_NAMES}

    def _size(self, sample: Sample, label: str) -> int:
        own = {"width": self.width, "depth": self.cells}[label]
        if isinstance(own, int):
            return own
        if label not in sample:
            raise NATError(f"sample: {self.title} needs '{label}' too, or a fixed one")
        return int(sample[label])

    def _cell(self, sample: Sample, name: str) -> Cell:
        edges = []
        inner = range(INPUTS, INPUTS + self.nodes)
        for node in inner:
            for number in range(PER_NODE):
                key = f"{name}/op_{node}_{number}"
                op = NDS_OPS[sample[key]]
                source = sample[f"{name}/input_{node}_{number}"][0]
                choices = self._choices(number)
                edges.append(Edge(source, node, op, key, choices if op in choices else (*choices, op)))
        used = {edge.source for edge in edges} if self.loose_ends else set()
        output = tuple(node for node in inner if node not in used)
        if not self.drops_dead and any(all(e.op == NULL for e in edges if e.target == node) for node in output):
            raise NATError(
                f"{name}: a node whose inputs are all 'none' stays in the output of {self.title} as zeros; the spaces "
                "of nat_nni.spaces leave it out"
            )
        cell = Cell(INPUTS, (Node(),) * self.nodes, tuple(edges), output, project=True)
        return at_level(cell, CELL_NAMES.index(name))

    def _choices(self, number: int) -> tuple[Op, ...]:
        """A space that keeps the zeros of a node without inputs may lose the second input of each node only."""
        nullable = self.drops_dead or number == 1
        return tuple(NDS_OPS[name] for name in self.ops if name != "none" or nullable)

    def write(self, network: Network, sample: Sample | None) -> Sample:
        """NATError for other wirings, other ops, and null where the space has no ``none``."""
        found: Sample = dict(sample or {})
        for level, name in enumerate(CELL_NAMES):
            cell = network.by_name.get(name)
            if cell is None or cell.inputs != INPUTS or not cell.project or any(n != Node(level) for n in cell.nodes):
                raise NATError(
                    f"{self.title} cannot represent this network: it has no plain cell '{name}' of two inputs"
                )
            targets = [INPUTS + number // PER_NODE for number in range(PER_NODE * self.nodes)]
            if len(cell.nodes) != self.nodes or [edge.target for edge in cell.edges] != targets:
                raise NATError(
                    f"{self.title} cannot represent cell '{name}': it has {self.nodes} nodes of {PER_NODE} edges"
                )
            for position, edge in enumerate(cell.edges):
                node, number = edge.target, position % PER_NODE
                found[f"{name}/op_{node}_{number}"] = self._name(edge.op, f"{name}/op_{node}_{number}")
                found[f"{name}/input_{node}_{number}"] = [edge.source]
        if sample is None:
            sizes = {"width": network.placements[0].channels, "depth": len(network.placements)}
            for label, values in (("width", self.width), ("depth", self.cells)):
                if not isinstance(values, int):
                    if sizes[label] not in values:
                        raise NATError(f"{self.title} cannot represent {label} {sizes[label]}; it has {values}")
                    found[label] = sizes[label]
        return found

    def remarks(self, sample: Sample, input: Shape) -> SampleRemarks:
        del sample, input
        kept = {label: _KEPT for label in self.domains() if "/input_" in label}
        return SampleRemarks({**kept, **dict.fromkeys(("width", "depth"), _SIZE)})

    def _name(self, op: Op, label: str) -> str:
        name = _NAMES.get(op)
        if name is None or name not in self.ops:
            hint = "; the spaces of nat_nni.spaces have 'none'" if op == NULL else ""
            raise NATError(f"{self.title} cannot represent '{op}' ({label}); it has {', '.join(self.ops)}{hint}")
        return name
