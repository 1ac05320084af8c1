"""The cheapest legal network by a weighted sum of parameters and MACs."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np

from nat_plugin.ir.canonical import is_connected, live
from nat_plugin.ir.costs import cost
from nat_plugin.ir.network import Network
from nat_plugin.ir.ops import Op


def cheapest_choice(
    network: Network, candidates: Sequence[Sequence[Op]], weighted: np.ndarray, weight: tuple[float, float]
) -> tuple[int, ...] | None:
    """One candidate number per slot; None if no connected network exists.

    ``weighted`` (slots, candidates) holds the additive costs under ``weight`` (of parameters, of MACs). Every slot takes
    its cheapest candidate (null where it may be); a cell that this disconnects gets its cheapest path back; single
    changes then lower the exact cost as long as any does, since dead operations cost nothing.
    """
    choice = [int(np.argmin(row[: len(options)])) for row, options in zip(weighted, candidates, strict=True)]
    choice = [
        next((j for j, op in enumerate(options) if op.is_null), index)
        for index, options in zip(choice, candidates, strict=True)
    ]
    placed = {placement.cell for placement in network.placements}
    for name in placed:
        built = network.with_ops([options[index] for options, index in zip(candidates, choice, strict=True)])
        if not live(built.by_name[name]).output:
            path = _cheapest_path(network, name, candidates, weighted)
            if path is None:
                return None
            for position, index in path:
                choice[position] = index
    return _descend(network, candidates, choice, weight)


def _cheapest_path(
    network: Network, name: str, candidates: Sequence[Sequence[Op]], weighted: np.ndarray
) -> list[tuple[int, int]] | None:
    """(slot number, candidate) along the cheapest way from an input to the output of a cell (Dijkstra)."""
    cell = network.by_name[name]
    position = {slot.index: number for number, slot in enumerate(network.slots) if slot.cell == name}
    best: dict[int, tuple[float, list[tuple[int, int]]]] = {}
    queue: list[tuple[float, int, list[tuple[int, int]]]] = [(0.0, node, []) for node in range(cell.inputs)]
    heapq.heapify(queue)
    while queue:
        spent, node, path = heapq.heappop(queue)
        if node in best:
            continue
        best[node] = spent, path
        for index, edge in enumerate(cell.edges):
            if edge.source != node:
                continue
            if index not in position:
                if not edge.op.is_null:
                    heapq.heappush(queue, (spent, edge.target, path))
                continue
            number = position[index]
            live_options = [j for j, op in enumerate(candidates[number]) if not op.is_null]
            if live_options:
                cheapest = min(live_options, key=lambda j: float(weighted[number, j]))
                step = spent + float(weighted[number, cheapest])
                heapq.heappush(queue, (step, edge.target, [*path, (number, cheapest)]))
    ends = [best[node] for node in cell.output if node in best]
    return min(ends, key=lambda end: end[0])[1] if ends else None


def _descend(
    network: Network, candidates: Sequence[Sequence[Op]], choice: list[int], weight: tuple[float, float]
) -> tuple[int, ...]:
    def value(trial: Sequence[int]) -> float:
        built = network.with_ops([options[index] for options, index in zip(candidates, trial, strict=True)])
        if not is_connected(built):
            return float("inf")
        total = cost(built)
        return weight[0] * total.params + weight[1] * total.macs

    least = value(choice)
    improved = True
    while improved:
        improved = False
        for number, options in enumerate(candidates):
            for index in range(len(options)):
                if index == choice[number]:
                    continue
                trial = [*choice[:number], index, *choice[number + 1 :]]
                now = value(trial)
                if now < least:
                    choice, least, improved = trial, now, True
    return tuple(choice)
