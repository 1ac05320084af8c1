"""The baseline that asks nothing: leave out the blocks whose weights are smallest."""

from __future__ import annotations

import torch
from torch import nn

from nat_plugin import NATError
from nat_plugin.ir import NULL, Moves, Network


def without_small_blocks(model: nn.Module, moves: Moves) -> Network:
    """What ``moves`` starts from (read from ``model``) without as many blocks as its limits demand, in order of the
    mean absolute value of their weights, smallest first. NATError where leaving out all that can be is not enough."""
    choice = list(moves.identity)
    places: dict[str, list[int]] = {}
    for place, (slot, ops) in enumerate(zip(moves.slots, moves.candidates, strict=True)):
        if NULL in ops[1:]:
            places.setdefault(slot.cell, []).append(place)
    sizes = {cell: _size(model.get_submodule(cell)) for cell in places}
    for cell in sorted(sizes, key=lambda name: (sizes[name], name)):
        if moves.limits.fit(moves.apply(choice)):
            break
        for place in places[cell]:
            choice[place] = moves.candidates[place].index(NULL)
    found = moves.apply(choice)
    try:
        moves.verify(found)
    except NATError as error:
        raise NATError(
            f"magnitude leaves out blocks only, and without all that can be it is: {error}; raise the limit or use "
            "another strategy"
        ) from error
    return found


def _size(block: nn.Module) -> float:
    weights = [each.detach().abs().flatten() for each in block.parameters() if each.ndim > 1]
    return float(torch.cat(weights).mean()) if weights else 0.0
