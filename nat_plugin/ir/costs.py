"""Exact parameters and MACs of a network, and of each of its edges."""

from __future__ import annotations

from dataclasses import dataclass

from nat_plugin.ir.canonical import canonical
from nat_plugin.ir.edge_costs import edge_costs
from nat_plugin.ir.network import Network, Slot
from nat_plugin.ir.ops import Site


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


def costs_as_built(network: Network) -> Costs:
    """Cost of every op as it stands, dead or alive."""
    table = edge_costs(network)
    fixed = Cost(*table.fixed)
    slots: dict[Slot, Cost] = {}
    editable = set(network.slots)
    placed = {placement.cell for placement in network.placements}
    for name, cell in network.cells:
        if name not in placed:
            continue
        for index, edge in enumerate(cell.edges):
            each = Cost(*table.cost(name, edge.source, edge.target, edge.op))
            if (name, index) in editable:
                slots[Slot(name, index)] = each
            else:
                fixed += each
    return Costs(sum(slots.values(), fixed), fixed, slots)


def total_as_built(network: Network) -> Cost:
    """The total of ``costs_as_built``."""
    table = edge_costs(network)
    params, macs = table.fixed
    for name in {placement.cell for placement in network.placements}:
        for edge in network.by_name[name].edges:
            each = table.cost(name, edge.source, edge.target, edge.op)
            params, macs = params + each[0], macs + each[1]
    return Cost(params, macs)


def costs(network: Network) -> Costs:
    """Exact costs: those of the canonical form, equal to building the network and counting.

    Raises NATError if the output does not depend on the input.
    """
    return costs_as_built(canonical(network))


def cost(network: Network) -> Cost:
    """The total of ``costs``."""
    return total_as_built(canonical(network))


def slot_sites(network: Network) -> dict[Slot, tuple[Site, ...]]:
    """For every slot, the site in each placement of its cell."""
    table = edge_costs(network)
    edges = ((slot, network.edge(slot)) for slot in network.slots)
    return {slot: table.sites(slot.cell, edge.source, edge.target) for slot, edge in edges}
