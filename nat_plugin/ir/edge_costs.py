"""What of a network does not change with its edges: shapes of all nodes, so the site of any edge, and what is fixed.

All wirings and ops of the same nodes share one table, and with it every site and cost that was ever asked for.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TypeAlias

from nat_plugin.errors import NATError
from nat_plugin.ir.layers import Layer, Shape, run_layers
from nat_plugin.ir.network import Head, Network, Node, Placement
from nat_plugin.ir.ops import Op, Site, op_cost
from nat_plugin.ir.shapes import layout

_CellForm: TypeAlias = tuple[str, int, tuple[Node, ...], tuple[int, ...], bool]
_NetworkKey: TypeAlias = tuple[Shape, tuple[tuple[Layer, ...], ...], tuple[Placement, ...], Head, tuple[_CellForm, ...]]


class EdgeCosts:
    """Sites and costs of edges by cell, source and target; ``fixed`` is (parameters, MACs) of all that is no edge."""

    def __init__(self, network: Network) -> None:
        bare = network.with_cells((name, replace(cell, edges=())) for name, cell in network.cells)
        shapes = layout(bare)
        self._bare = bare
        self._outputs: dict[str, tuple[tuple[int, int], ...]] = {}
        self._placed = {name: [each for each in shapes.placed if each.placement.cell == name] for name in bare.by_name}
        self._levels = {name: [0] * cell.inputs + [node.level for node in cell.nodes] for name, cell in bare.cells}
        self._sites: dict[tuple[str, int, int], tuple[Site, ...]] = {}
        self._costs: dict[tuple[str, int, int, Op], tuple[int, int]] = {}
        self.candidates: dict[tuple[object, ...], tuple[tuple[Op, ...], tuple[bool, ...]]] = {}
        """What the moves of an edge may be, as far as asked for (``ir.moves``)."""
        params = macs = 0
        parts: list[tuple[tuple[Layer, ...], Shape]] = []
        shape = network.input
        for stage in network.stem:
            parts.append((stage, shape))
            shape, _, _ = run_layers(stage, shape)
        for placed in shapes.placed:
            parts += [(layers, shape) for shape, layers in placed.projections]
            for node, shape in zip(placed.cell.nodes, placed.nodes[placed.cell.inputs :], strict=True):
                params += 2 * shape[0] * node.norm
        parts.append((network.head.layers, shapes.tensors[-1]))
        for layers, shape in parts:
            last, more_params, more_macs = run_layers(layers, shape)
            params, macs = params + more_params, macs + more_macs
        linear = last[0] * network.head.classes
        self.fixed = (params + linear + network.head.classes, macs + linear)

    def sites(self, cell: str, source: int, target: int) -> tuple[Site, ...]:
        """The site of an edge in every placement of its cell. NATError if it would lead to a larger resolution."""
        found = self._sites.get((cell, source, target))
        if found is None:
            levels, inputs = self._levels[cell], self._bare.by_name[cell].inputs
            down = levels[target] - levels[source]
            if down < 0:
                raise NATError(f"edge {source}->{target} of cell '{cell}' goes to a larger resolution")
            found = tuple(
                Site(
                    each.nodes[source][0],
                    each.nodes[target][0],
                    2 ** (down + each.placement.level * (source < inputs)),
                    *each.nodes[source][1:],
                    ordinal,
                )
                for ordinal, each in enumerate(self._placed[cell])
            )
            self._sites[cell, source, target] = found
        return found

    def norms(self, cell: str) -> tuple[int, ...]:
        """Parameters of the norm of every inner node, summed over the placements."""
        nodes = self._bare.by_name[cell].nodes
        placed = self._placed[cell]
        return tuple(
            sum(2 * (node.channels or each.placement.channels) * node.norm for each in placed) for node in nodes
        )

    def keeps_width(self, cell: str) -> bool:
        """Whether the output of a cell is read as it is, so that it cannot become narrower: by a cell that does not
        project its inputs, or by layers of the head."""
        if len(self._bare.by_name[cell].output) == 1:
            return False
        first = len(self._bare.stem)
        mine = {first + number for number, each in enumerate(self._bare.placements) if each.cell == cell}
        last = first + len(self._bare.placements) - 1
        readers = (each for each in self._bare.placements if not mine.isdisjoint(each.sources))
        return (last in mine and bool(self._bare.head.layers)) or not all(
            self._bare.by_name[each.cell].project for each in readers
        )

    def outputs(self, cell: str) -> tuple[tuple[int, int], ...]:
        """What every position of a cell's output adds to the cost of the fixed parts after it (all of them linear in
        their input channels): nothing where the output cannot become narrower."""
        savings = self._outputs.get(cell)
        if savings is None:
            searched = self._bare.by_name[cell]
            savings = ((0, 0),) * len(searched.output)
            if len(searched.output) > 1 and not self.keeps_width(cell):
                narrower = []
                for position in range(len(searched.output)):
                    remaining = searched.output[:position] + searched.output[position + 1 :]
                    narrower.append(
                        EdgeCosts(self._bare.with_cells([(cell, replace(searched, output=remaining))])).fixed
                    )
                savings = tuple((self.fixed[0] - cost[0], self.fixed[1] - cost[1]) for cost in narrower)
            self._outputs[cell] = savings
        return savings

    def cost(self, cell: str, source: int, target: int, op: Op) -> tuple[int, int]:
        """Parameters and MACs of an op on an edge, summed over the placements. NATError where it is not legal."""
        found = self._costs.get((cell, source, target, op))
        if found is None:
            each = [op_cost(op, site) for site in self.sites(cell, source, target)]
            found = (sum(cost[0] for cost in each), sum(cost[1] for cost in each))
            self._costs[cell, source, target, op] = found
        return found


def edge_costs(network: Network) -> EdgeCosts:
    """The table of edge costs of a network, from a cache. Raises NATError where shapes do not fit."""
    forms = tuple((name, cell.inputs, cell.nodes, cell.output, cell.project) for name, cell in network.cells)
    return _edge_costs(_Query(network, (network.input, network.stem, network.placements, network.head, forms)))


class _Query:
    """A network that is equal to every other with the same key, for the cache."""

    __slots__ = ("key", "network")

    def __init__(self, network: Network, key: _NetworkKey) -> None:
        self.network, self.key = network, key

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Query) and self.key == other.key


@lru_cache(maxsize=1024)
def _edge_costs(query: _Query) -> EdgeCosts:
    return EdgeCosts(query.network)
