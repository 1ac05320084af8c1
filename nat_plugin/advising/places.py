"""Where the op of a slot stands: once in every placement of its cell."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from nat_plugin.ir import Network, Op, Site, Slot
from nat_plugin.ir.costs import slot_sites
from nat_plugin.nets import Supernet
from nat_plugin.nets.paths import path_of
from nat_plugin.nets.shared import SharedCell, module_key


@dataclass(frozen=True)
class Place:
    """A slot in one placement of its cell."""

    slot: Slot
    placement: int
    site: Site


def places_of(network: Network, slot: Slot) -> list[Place]:
    numbers = [at for at, placement in enumerate(network.placements) if placement.cell == slot.cell]
    return [Place(slot, at, site) for at, site in zip(numbers, slot_sites(network)[slot], strict=True)]


def module_at(shared: Supernet, network: Network, place: Place, op: Op) -> nn.Module | None:
    """Of an op that may stand there; None of one without a module."""
    cell = shared.cells[place.placement]
    assert isinstance(cell, SharedCell)
    key = module_key(path_of(network, place.slot, op))
    if key not in cell.ops:
        return None
    return cell.ops[key]
