"""A Network as one fixed torch module: the network to train and to count."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from nat_plugin.errors import NATError
from nat_plugin.ir.canonical import canonical
from nat_plugin.ir.layers import run_layers
from nat_plugin.ir.network import Edge, Network
from nat_plugin.ir.shapes import Placed, layout
from nat_plugin.nets.auxiliary import AuxiliaryHead
from nat_plugin.nets.layers import build_layers
from nat_plugin.nets.ops import build_op
from nat_plugin.nets.steps import Map, cell_steps, run_steps
from nat_plugin.parallel.ranks import ALONE, Ranks


class FixedCell(nn.Module):
    """One placement of a cell without dead ops. All projections run, those of unused inputs too, as in DARTS."""

    def __init__(self, placed: Placed) -> None:
        super().__init__()
        cell = placed.cell

        def projection(number: int) -> nn.Module:
            return build_layers(placed.projections[number][1])

        def op(index: int, edge: Edge) -> nn.Module:
            return build_op(edge.op, placed.sites[index])

        def norm(number: int) -> nn.Module:
            return nn.BatchNorm2d(placed.nodes[number][0])

        program = cell_steps(cell, projection, op, norm, range(cell.inputs))
        self.steps = tuple(step for step, _ in program)
        self.parts = nn.ModuleList(part for _, part in program)
        self.drops = tuple(step.source != step.target and not isinstance(part, nn.Identity) for step, part in program)
        self.output = cell.output

    def forward(self, inputs: list[Tensor], keep: Tensor | None = None, ranks: Ranks = ALONE) -> Tensor:
        """``keep``: the probability (a scalar tensor) that an op survives for an image; None for certain. ``ranks``:
        each draws for the images of all and takes what is of its own, so that one process would draw the same."""
        nodes = dict(enumerate(inputs))
        if keep is None:
            return run_steps(zip(self.steps, self.parts, strict=True), nodes, self.output)
        images = inputs[0].shape[0] * ranks.count
        drawn = torch.rand(sum(self.drops), images, 1, 1, 1, device=inputs[0].device)[:, ranks.part(0, images)]
        masks = iter(((drawn < keep) / keep).unbind())
        maps = [_masked(part, next(masks)) if drop else part for part, drop in zip(self.parts, self.drops, strict=True)]
        return run_steps(zip(self.steps, maps, strict=True), nodes, self.output)


def _masked(part: Callable[[Tensor], Tensor], mask: Tensor) -> Map:
    def run(x: Tensor) -> Tensor:
        value = part(x)
        return value * mask.to(value.dtype)

    return run


class CellNetwork(nn.Module):
    """Stem stages, placed cells, head of ``canonical(network)``; for a stack of DARTS cells its evaluation network.

    Input (N, C, H, W), output logits (N, classes). With ``auxiliary`` and in training mode a pair (logits, auxiliary
    logits), the latter from the output of cell number ``2 * cells // 3`` (DARTS ``model.py``).
    """

    keep: Tensor

    def __init__(self, network: Network, auxiliary: bool = False) -> None:
        super().__init__()
        self.network = network = canonical(network)
        shapes = layout(network)
        self.stem = nn.ModuleList(build_layers(stage) for stage in network.stem)
        self.cells = nn.ModuleList(FixedCell(placed) for placed in shapes.placed)
        self.sources = tuple(placement.sources for placement in network.placements)
        last_use = {source: number for number, sources in enumerate(self.sources) for source in sources}
        self.expired = tuple(
            tuple(source for source in sorted(set(sources)) if last_use[source] == number)
            for number, sources in enumerate(self.sources)
        )
        head = network.head
        (channels, _, _), _, _ = run_layers(head.layers, shapes.tensors[-1])
        self.features = build_layers(head.layers)
        self.classifier = nn.Linear(channels, head.classes)
        self.auxiliary: AuxiliaryHead | None = None
        self.auxiliary_source = len(network.stem) + 2 * len(self.cells) // 3
        if auxiliary and len(self.cells):
            self.auxiliary = AuxiliaryHead(shapes.tensors[self.auxiliary_source], head.classes)
        self.register_buffer("keep", torch.ones(()), persistent=False)
        self._drop_path, self._drops = 0.0, False
        self.ranks = ALONE

    @property
    def drop_path(self) -> float:
        """The probability that an op other than a plain skip is dropped for an image, in training mode only."""
        return self._drop_path

    @drop_path.setter
    def drop_path(self, probability: float) -> None:
        # The rate itself lives in a tensor: it changes every epoch and would make torch.compile start anew each time.
        if not 0 <= probability < 1:
            raise NATError(f"drop_path must be at least 0 and less than 1, not {probability}")
        self._drop_path, self._drops = float(probability), probability > 0
        self.keep.fill_(1 - probability)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        tensors: dict[int, Tensor] = {}
        for stage in self.stem:
            x = stage(x)
            tensors[len(tensors)] = x
        keep = self.keep if self.training and self._drops else None
        auxiliary: Tensor | None = None
        for number, cell in enumerate(self.cells, start=len(self.stem)):
            place = number - len(self.stem)
            x = cell([tensors[source] for source in self.sources[place]], keep, self.ranks)
            tensors[number] = x
            for source in self.expired[place]:
                del tensors[source]
            if self.training and self.auxiliary is not None and number == self.auxiliary_source:
                auxiliary = self.auxiliary(x)
        logits: Tensor = self.classifier(self.features(x).mean((2, 3)))
        return logits if auxiliary is None else (logits, auxiliary)


def build(network: Network, *, auxiliary: bool = False) -> CellNetwork:
    """The fixed network of ``canonical(network)``: dead ops are not built. NATError if nothing leads to its output."""
    return CellNetwork(network, auxiliary)
