"""Weight sharing: one module that holds the ops of many networks and runs just those of the network asked for."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nat_plugin.errors import NATError
from nat_plugin.ir.canonical import live
from nat_plugin.ir.edge_costs import edge_costs
from nat_plugin.ir.layers import run_layers
from nat_plugin.ir.network import Edge, Network
from nat_plugin.ir.shapes import layout
from nat_plugin.nets.layers import build_layers
from nat_plugin.nets.paths import OpPath, fixed_paths, occurrences
from nat_plugin.nets.shared import SharedCell, module_key, varying, widest
from nat_plugin.nets.sharing import SharedWeights
from nat_plugin.nets.steps import Map, NodeStep, cell_steps, run_steps

T = TypeVar("T", bound=nn.Module)

MAX_PLANS = 1024
"""How many networks keep their plan; that of the least recently used one is worked out anew."""


@dataclass(frozen=True)
class PlannedCell:
    """What one placement runs: the tensors that its nodes start from, steps, output nodes, tensors no longer needed."""

    number: int
    inputs: tuple[tuple[int, int], ...]
    steps: tuple[tuple[NodeStep, Map], ...]
    output: tuple[int, ...]
    expired: tuple[int, ...]


@dataclass(frozen=True)
class ForwardPlan:
    """What one network runs. ``columns``: the channels of the classifier's input; None for all."""

    stages: tuple[nn.Module, ...]
    cells: tuple[PlannedCell, ...]
    columns: Tensor | None
    parameters: tuple[nn.Parameter, ...]


class Supernet(SharedWeights):
    """The networks that share with ``template`` all but the edges of their cells (stem, placements, head, nodes), and
    whose live edges are among ``paths`` (by cell) or fixed in the template.

    Weights are shared per placement and path. Batch norms keep no running statistics: a path never sees those of
    another. What no output depends on is not run: dead ops, projections of unused inputs, placements nobody reads.
    """

    def __init__(self, template: Network, paths: Mapping[str, frozenset[OpPath]], *, affine: bool = True) -> None:
        super().__init__()
        self.template = template = widest(template)
        self._varying = varying(template)
        norm = partial(nn.BatchNorm2d, affine=affine, track_running_stats=False)
        self._paths = {name: fixed | paths.get(name, frozenset()) for name, fixed in fixed_paths(template).items()}
        self._shapes = layout(template)
        self.stem = nn.ModuleList(build_layers(stage, norm) for stage in template.stem)
        self.cells = nn.ModuleList()
        placements: Counter[str] = Counter()
        for placed in self._shapes.placed:
            name = placed.placement.cell
            sites = {path: edge_costs(template).sites(name, path.source, path.target) for path in self._paths[name]}
            here = {path: each[placements[name]] for path, each in sites.items()}
            self.cells.append(SharedCell(placed, here, norm))
            placements[name] += 1
        self.features = build_layers(template.head.layers, norm)
        (channels, _, _), _, _ = run_layers(template.head.layers, self._shapes.tensors[-1])
        self.classifier = nn.Linear(channels, template.head.classes)
        self._plans: OrderedDict[Network, ForwardPlan] = OrderedDict()

    def forward(self, x: Tensor, network: Network) -> Tensor:
        """Logits (N, classes) of ``network`` for images (N, C, H, W). NATError if it is not a path of this supernet."""
        plan = self._plan(network)
        tensors: dict[int, Tensor] = {}
        for number, stage in enumerate(plan.stages):
            x = tensors[number] = stage(x)
        for cell in plan.cells:
            nodes = {node: tensors[source] for node, source in cell.inputs}
            x = tensors[cell.number] = run_steps(cell.steps, nodes, cell.output)
            for number in cell.expired:
                del tensors[number]
        x = self.features(x).mean((2, 3))
        if plan.columns is None:
            logits: Tensor = self.classifier(x)
            return logits
        return F.linear(x, self.classifier.weight.index_select(1, plan.columns), self.classifier.bias)

    def active_parameters(self, network: Network) -> list[nn.Parameter]:
        """Exactly the parameters that ``network`` uses (whole tensors, where it uses some columns of one)."""
        return list(self._plan(network).parameters)

    def _plan(self, network: Network) -> ForwardPlan:
        plan = self._plans.get(network)
        if plan is None:
            plan = self._plans[network] = self._make_plan(network)
            if len(self._plans) > MAX_PLANS:
                self._plans.popitem(last=False)
        else:
            self._plans.move_to_end(network)
        return plan

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Supernet:
        self._plans.clear()  # they hold index tensors and parameters, which are about to move
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_plans": OrderedDict()}

    def _make_plan(self, network: Network) -> ForwardPlan:
        self._check(network)
        first = len(network.stem)
        last = len(self._shapes.tensors) - 1
        needed = {last}
        inputs: dict[int, tuple[int, ...]] = {}
        for number in reversed(range(first, last + 1)):
            if number in needed:
                placement = network.placements[number - first]
                alive = live(network.by_name[placement.cell]).nodes[: len(placement.sources)]
                inputs[number] = tuple(node for node, used in enumerate(alive) if used)
                needed.update(placement.sources[node] for node in inputs[number])
        stages = tuple(self.stem)[: max((number for number in needed if number < first), default=-1) + 1]
        modules: list[nn.Module] = list(stages)
        last_use = {network.placements[n - first].sources[node]: n for n in sorted(inputs) for node in inputs[n]}
        cells = []
        for number in sorted(inputs):
            placement = network.placements[number - first]
            starts = tuple((node, placement.sources[node]) for node in inputs[number])
            cells.append(
                PlannedCell(
                    number,
                    starts,
                    self._steps(network, number, inputs[number], modules),
                    live(network.by_name[placement.cell]).output,
                    tuple(sorted({source for _, source in starts if last_use[source] == number})),
                )
            )
        modules += [self.features, self.classifier]
        parameters = dict.fromkeys(parameter for module in modules for parameter in module.parameters())
        return ForwardPlan(stages, tuple(cells), self.columns(network, last), tuple(parameters))

    def _steps(
        self, network: Network, number: int, inputs: tuple[int, ...], modules: list[nn.Module]
    ) -> tuple[tuple[NodeStep, Map], ...]:
        """The steps of placement ``number``; the modules that they run are added to ``modules``."""
        placement = network.placements[number - len(network.stem)]
        cell, shared = network.by_name[placement.cell], self.cells[number - len(network.stem)]
        assert isinstance(shared, SharedCell)
        order = occurrences(cell)

        def use(module: T) -> T:
            modules.append(module)
            return module

        def projection(node: int) -> Map:
            module = use(shared.projections[node])
            columns = self.columns(network, placement.sources[node])
            return module if columns is None else partial(module, columns=columns)

        def op(index: int, edge: Edge) -> Map:
            key = module_key(OpPath(edge.source, edge.target, order[index], edge.op))
            if key not in shared.ops:
                raise NATError(
                    f"'{edge.op}' on edge {edge.source}->{edge.target} of cell '{placement.cell}' is not a path of "
                    "this supernet"
                )
            return use(shared.ops[key])

        def norm(node: int) -> Map:
            return use(shared.norms[str(node)])

        return tuple(cell_steps(cell, projection, op, norm, inputs))

    def columns(self, network: Network, number: int) -> Tensor | None:
        """Which channels tensor ``number`` has in ``network`` out of those it can have; None for all in order."""
        place = number - len(network.stem)
        if place < 0:
            return None
        placed = self._shapes.placed[place]
        name = placed.placement.cell
        output = live(network.by_name[name]).output
        if output == placed.cell.output:
            return None
        ends = list(accumulate(placed.nodes[node][0] for node in placed.cell.output))
        blocks: dict[int, list[range]] = {}
        for node, end in zip(placed.cell.output, ends, strict=True):
            blocks.setdefault(node, []).append(range(end - placed.nodes[node][0], end))
        channels = [channel for node in output for channel in blocks[node].pop(0)]
        with torch.inference_mode(False):  # a plan made while evaluating also has to serve training
            return torch.tensor(channels, device=self.classifier.weight.device)

    def _check(self, network: Network) -> None:
        """NATError where ``network`` differs from the template in more than edges."""
        template = self.template
        for part in ("placements", "stem", "head", "input"):
            if getattr(network, part) != getattr(template, part):
                raise NATError(f"the network and the supernet differ in their {part}")
        for name in self._paths:
            ours, theirs = template.by_name[name], network.by_name[name]
            alive = live(theirs)
            nodes = [node for node, keep in zip(theirs.nodes, alive.nodes[theirs.inputs :], strict=True) if keep]
            if (ours.inputs, ours.project, len(ours.nodes)) != (theirs.inputs, theirs.project, len(theirs.nodes)) or (
                nodes != [node for node, keep in zip(ours.nodes, alive.nodes[ours.inputs :], strict=True) if keep]
            ):
                raise NATError(f"cell '{name}' has other nodes than in the supernet")
            if not alive.output:
                raise NATError(f"no operation leads from an input of cell '{name}' to its output")
            more = Counter(alive.output) - Counter(ours.output)
            if more or (name not in self._varying and alive.output != ours.output):
                raise NATError(
                    f"cell '{name}' outputs nodes {list(alive.output)}, the supernet has {list(ours.output)}"
                )
