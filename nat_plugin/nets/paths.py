"""Paths of a supernet: which op can stand on which connection of a cell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple, TypeAlias

from nat_plugin.ir.costs import slot_sites
from nat_plugin.ir.edge_costs import edge_costs
from nat_plugin.ir.network import Cell, Network, Slot
from nat_plugin.ir.ops import Op
from nat_plugin.ir.rules import Rule


class OpPath(NamedTuple):
    """An op on a connection of a cell. ``occurrence`` tells edges with the same source and target apart."""

    source: int
    target: int
    occurrence: int
    op: Op


Paths: TypeAlias = Mapping[str, frozenset[OpPath]]
"""The paths of every cell, by its name."""


def occurrences(cell: Cell) -> tuple[int, ...]:
    """For every edge, how many edges with the same source and target come before it."""
    seen: Counter[tuple[int, int]] = Counter()
    found = []
    for edge in cell.edges:
        found.append(seen[edge.source, edge.target])
        seen[edge.source, edge.target] += 1
    return tuple(found)


def path_of(network: Network, slot: Slot, op: Op) -> OpPath:
    """An op in a slot."""
    edge = network.edge(slot)
    return OpPath(edge.source, edge.target, occurrences(network.by_name[slot.cell])[slot.index], op)


def fixed_paths(network: Network) -> dict[str, set[OpPath]]:
    """The ops of the edges that no rule may change, of every placed cell."""
    found: dict[str, set[OpPath]] = {placement.cell: set() for placement in network.placements}
    for name, paths in found.items():
        cell = network.by_name[name]
        for edge, occurrence in zip(cell.edges, occurrences(cell), strict=True):
            if not edge.editable and not edge.op.is_null:
                paths.add(OpPath(edge.source, edge.target, occurrence, edge.op))
    return found


def move_paths(networks: Iterable[Network], rule: Rule) -> dict[str, frozenset[OpPath]]:
    """Every op that any sequence of moves under ``rule`` can put on the edges of the networks, whatever is limited:
    choices of the format that are legal at all sites of the edge."""
    found: dict[str, set[OpPath]] = {}
    for network in networks:
        for name, paths in fixed_paths(network).items():
            found.setdefault(name, set()).update(paths)
        sites = slot_sites(network)
        for slot in network.slots:
            edge = network.edge(slot)
            occurrence = occurrences(network.by_name[slot.cell])[slot.index]
            reached, ahead = {edge.op}, [edge.op]
            while ahead:
                now = replace(edge, op=ahead.pop())
                nexts = {*rule.candidates(now, sites[slot]), *rule.stand_ins(now, sites[slot])} - reached
                reached |= nexts
                ahead += nexts
            found[slot.cell].update(
                OpPath(edge.source, edge.target, occurrence, op) for op in reached if not op.is_null
            )
    return {name: frozenset(paths) for name, paths in found.items()}


def wiring_paths(network: Network) -> dict[str, frozenset[OpPath]]:
    """Every op of the choices of an editable edge on every connection that the edge could be: from any earlier node to
    its target, where that is legal at all placements. Contains every network with the same cells but inputs and
    (non-null) ops of its editable edges drawn at random, several edges from one source included."""
    found = fixed_paths(network)
    table = edge_costs(network)
    for name, paths in found.items():
        cell = network.by_name[name]
        levels = [0] * cell.inputs + [node.level for node in cell.nodes]
        for target in range(cell.inputs, len(levels)):
            edges = [edge for edge in cell.edges if edge.target == target]
            editable = [edge for edge in edges if edge.editable]
            choices = {op for edge in editable for op in edge.choices if not op.is_null}
            for source in range(target):
                if levels[source] > levels[target]:
                    continue
                sites = table.sites(name, source, target)
                legal = [op for op in choices if all(op.legal(site) for site in sites)]
                fixed = sum(edge.source == source for edge in edges if not edge.editable)
                paths.update(
                    OpPath(source, target, number, op) for number in range(fixed + len(editable)) for op in legal
                )
    return {name: frozenset(paths) for name, paths in found.items()}
