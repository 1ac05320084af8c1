"""Exact parameters and MACs of a network, and of each of its edges."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from nat_plugin.ir.canonical import canonical
from nat_plugin.ir.layers import run_layers
from nat_plugin.ir.network import Network, Slot
from nat_plugin.ir.ops import Op, Site, op_cost
from nat_plugin.ir.shapes import Placed, layout


@dataclass(frozen=True)
class Cost:
    """Parameters, and multiply-accumulates for one image (convolutions and linear layers)."""

    params: int = 0
    macs: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.params + other.params, self.macs + other.macs)


@dataclass(frozen=True)
class Costs:
    """The cost of a network and its parts: the fixed parts, and per slot the sum over all placements."""

    total: Cost
    fixed: Cost
    slots: dict[Slot, Cost]


@lru_cache(maxsize=65536)
def _place_cost(placed: Placed) -> tuple[Cost, tuple[Cost, ...]]:
    """Cost of projections and norms, and of each edge, as they stand (dead ones too)."""
    fixed = Cost()
    for shape, layers in placed.projections:
        _, params, macs = run_layers(layers, shape)
        fixed += Cost(params, macs)
    for node, shape in zip(placed.cell.nodes, placed.nodes[placed.cell.inputs :], strict=True):
        fixed += Cost(2 * shape[0] * node.norm)
    edges = tuple(Cost(*op_cost(e.op, site)) for e, site in zip(placed.cell.edges, placed.sites, strict=True))
    return fixed, edges


def costs_as_built(network: Network) -> Costs:
    """Cost of every op as it stands, dead or alive."""
    shapes = layout(network)
    fixed = Cost()
    shape = network.input
    for stage in network.stem:
        shape, params, macs = run_layers(stage, shape)
        fixed += Cost(params, macs)
    last = shapes.tensors[-1]
    head, params, macs = run_layers(network.head.layers, last)
    linear = head[0] * network.head.classes
    fixed += Cost(params + linear + network.head.classes, macs + linear)
    slots = dict.fromkeys(network.slots, Cost())
    for placed in shapes.placed:
        base, edges = _place_cost(placed)
        fixed += base
        for index, edge_cost in enumerate(edges):
            slot = Slot(placed.placement.cell, index)
            if slot in slots:
                slots[slot] += edge_cost
            else:
                fixed += edge_cost
    total = sum(slots.values(), fixed)
    return Costs(total, fixed, slots)


def costs(network: Network) -> Costs:
    """Exact costs: those of the canonical form, equal to building the network and counting.

    Raises NATError if the output does not depend on the input.
    """
    return costs_as_built(canonical(network))


def cost(network: Network) -> Cost:
    return costs(network).total


def slot_costs(network: Network, slot: Slot, op: Op) -> Cost:
    """What ``op`` would cost in ``slot``, summed over all placements of its cell. NATError where it is not legal."""
    return sum((Cost(*op_cost(op, site)) for site in slot_sites(network)[slot]), Cost())


@lru_cache(maxsize=1024)
def slot_sites(network: Network) -> dict[Slot, tuple[Site, ...]]:
    """For every slot, the site in each placement of its cell."""
    placed = layout(network).placed
    return {
        slot: tuple(each.sites[slot.index] for each in placed if each.placement.cell == slot.cell)
        for slot in network.slots
    }
