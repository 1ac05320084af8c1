"""Where the inputs β come from in training."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Annotated

import numpy as np
from pydantic import Field, model_validator

from nat_plugin.errors import NATError
from nat_plugin.ir import Cell, Edge, Moves, Network, Op, Rule, cost, is_connected
from nat_plugin.ir.edge_costs import EdgeCosts, edge_costs
from nat_plugin.settings import Settings

_Weight = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
_TRIES = 32


class Mix(Settings):
    """Shares of the kinds of inputs; they need not add up to 1."""

    input: _Weight = 0.5
    """Share of the user's own inputs."""
    neighbours: _Weight = 0.5
    """Share of the user's inputs after some random legal moves, so that the policy also learns around them."""
    random: _Weight = 0.0
    """Share of random inputs, as in the paper: the same cells and nodes with wirings and ops drawn uniformly. Needs an
    evaluator that can measure other wirings, and gives a policy for all architectures of the kind."""

    @model_validator(mode="after")
    def _some(self) -> Mix:
        if self.input + self.neighbours + self.random <= 0:
            raise ValueError("at least one of input, neighbours and random must be more than 0")
        return self


@lru_cache(maxsize=256)
def _free_moves(network: Network, rule: Rule) -> Moves:
    return Moves(network, rule)


def draw_source(mix: Mix, inputs: tuple[Network, ...], rule: Rule, rng: np.random.Generator) -> Network:
    """An input by the shares of a mix. It is connected; no limit is asked."""
    shares = np.cumsum([mix.input, mix.neighbours, mix.random])
    kind = int(np.searchsorted(shares, rng.random() * shares[-1], side="right"))
    network = inputs[int(rng.integers(len(inputs)))]
    return (network, neighbour(network, rule, rng), rewired(network, rng))[kind] if kind != 0 else network


def neighbour(network: Network, rule: Rule, rng: np.random.Generator) -> Network:
    """The network after legal moves on a random number of its slots, at least one where that is possible."""
    moves = _free_moves(network, rule)
    slots = len(moves.slots)
    if not slots:
        return network
    changed = set(rng.permutation(slots)[: rng.integers(1, slots + 1)].tolist())
    walk = moves.walk()
    for slot in range(slots):
        allowed = np.flatnonzero(walk.open())
        others = allowed[allowed != 0]
        stays = allowed[0] == 0 and (slot not in changed or not len(others))
        walk.take(0 if stays else int(others[rng.integers(len(others))]))
    return moves.apply(walk.choice)


def rewired(network: Network, rng: np.random.Generator) -> Network:
    """The same cells, nodes and number of edges; every editable edge gets an earlier source and an op that is not null,
    uniformly (NAT, section 5). The sources of a node are distinct as far as there are enough. Falls back to the ops
    and wiring as they are where nothing else is legal."""
    table = edge_costs(network)
    placed = {placement.cell for placement in network.placements}
    for _ in range(_TRIES):
        cells = [(name, _rewired_cell(table, name, cell, rng)) for name, cell in network.cells if name in placed]
        drawn = network.with_cells(cells)
        if _stands(drawn):
            return drawn
    return network


def _stands(network: Network) -> bool:
    """Whether it is connected, and every op is legal also where a node that gets nothing has made a cell narrower."""
    try:
        cost(network)
    except NATError:
        return False
    return is_connected(network)


def _rewired_cell(table: EdgeCosts, name: str, cell: Cell, rng: np.random.Generator) -> Cell:
    edges: list[Edge] = []
    levels = [0] * cell.inputs + [node.level for node in cell.nodes]
    for target in range(cell.inputs, len(levels)):
        entering = [edge for edge in cell.edges if edge.target == target]
        free = [edge for edge in entering if edge.editable]
        earlier = [node for node in range(target) if levels[node] <= levels[target]]
        drawn: list[int] = []
        while len(drawn) < len(free):
            drawn += rng.permutation(earlier).tolist()
        sources = iter(sorted(drawn[: len(free)]))
        edges += [_drawn(table, name, edge, next(sources), rng) if edge.editable else edge for edge in entering]
    return replace(cell, edges=tuple(edges))


def _drawn(table: EdgeCosts, name: str, edge: Edge, source: int, rng: np.random.Generator) -> Edge:
    sites = table.sites(name, source, edge.target)
    legal = [op for op in edge.choices if not op.is_null and all(op.legal(site) for site in sites)]
    if not legal:
        return edge
    op: Op = legal[int(rng.integers(len(legal)))]
    return replace(edge, source=source, op=op)
