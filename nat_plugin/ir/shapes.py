"""Shapes of every tensor of a network, and the site at which every op of every placement stands."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from nat_plugin.errors import NATError
from nat_plugin.ir.layers import Act, FactorizedReduce, Layer, Norm, Shape, run_layers, strided
from nat_plugin.ir.network import Cell, Network, Placement
from nat_plugin.ir.ops import Site, relu_conv_norm


@dataclass(frozen=True)
class Placed:
    """A placement with its shapes: projections of the inputs, sites of the edges, output."""

    placement: Placement
    cell: Cell
    projections: tuple[tuple[Shape, tuple[Layer, ...]], ...]  # input shape and layers, one per input; or empty
    nodes: tuple[Shape, ...]
    sites: tuple[Site, ...]
    output: Shape


@lru_cache(maxsize=4096)
def projection(shape: Shape, channels: int, height: int, width: int) -> tuple[Layer, ...]:
    """The layers that bring an input to ``channels`` at ``height`` x ``width`` (DARTS ``model.py``)."""
    if shape[1:] == (height, width):
        return relu_conv_norm(shape[0], channels, 1)
    if (strided(shape[1], 2), strided(shape[2], 2)) == (height, width):
        return (Act(), FactorizedReduce(shape[0], channels), Norm(channels))
    raise NATError(f"an input of {shape[1]}x{shape[2]} cannot be projected to {height}x{width}")


@lru_cache(maxsize=65536)
def place(cell: Cell, placement: Placement, inputs: tuple[Shape, ...], ordinal: int) -> Placed:
    """Shapes of one placement whose inputs have the given shapes."""
    height, width = inputs[-1][1:]
    projections: tuple[tuple[Shape, tuple[Layer, ...]], ...] = ()
    nodes = list(inputs)
    if not cell.project and len({shape[1:] for shape in inputs}) > 1:
        raise NATError(f"cell '{placement.cell}' reads tensors of different resolutions and does not project them")
    if cell.project:
        projections = tuple((shape, projection(shape, placement.channels, height, width)) for shape in inputs)
        nodes = [(placement.channels, height, width)] * cell.inputs
    for node in cell.nodes:
        scale = 2 ** (node.level + placement.level)
        nodes.append((node.channels or placement.channels, strided(height, scale), strided(width, scale)))
    levels = [0] * cell.inputs + [node.level + placement.level for node in cell.nodes]
    sites = []
    for edge in cell.edges:
        (c_in, h, w), (c_out, _, _) = nodes[edge.source], nodes[edge.target]
        if levels[edge.target] < levels[edge.source]:
            raise NATError(f"edge {edge.source}->{edge.target} of cell '{placement.cell}' goes to a larger resolution")
        sites.append(Site(c_in, c_out, 2 ** (levels[edge.target] - levels[edge.source]), h, w, ordinal))
    sizes = {nodes[node][1:] for node in cell.output}
    if len(sizes) != 1:
        raise NATError(f"cell '{placement.cell}' concatenates nodes of different resolutions")
    output = (sum(nodes[node][0] for node in cell.output), *sizes.pop())
    return Placed(placement, cell, projections, tuple(nodes), tuple(sites), output)


@dataclass(frozen=True)
class Layout:
    """All shapes of a network: its tensors (stem stages, then placements) and its placements."""

    tensors: tuple[Shape, ...]
    placed: tuple[Placed, ...]


def layout(network: Network) -> Layout:
    """Infer all shapes. Raises NATError where they do not fit."""
    tensors: list[Shape] = []
    shape: Shape = network.input
    for stage in network.stem:
        shape, _, _ = run_layers(stage, shape)
        tensors.append(shape)
    placed: list[Placed] = []
    seen: dict[str, int] = {}
    for placement in network.placements:
        ordinal = seen.get(placement.cell, 0)
        seen[placement.cell] = ordinal + 1
        inputs = tuple(tensors[source] for source in placement.sources)
        placed.append(place(network.by_name[placement.cell], placement, inputs, ordinal))
        tensors.append(placed[-1].output)
    run_layers(network.head.layers, tensors[-1])
    return Layout(tuple(tensors), tuple(placed))
