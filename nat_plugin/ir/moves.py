"""The legal transformations of one network under a rule set and a budget, and a walk that can only reach those.

A walk decides the slots in turn, and a candidate is open only if some completion of it is connected and within every
limit. Without limits, and with one limit on parameters or MACs, that is decided exactly (``ir.completion``): a walk
reaches every network that fits. With several limits, or one that is no sum over edges (a latency), it needs a witness,
a completion that fits, which is looked for among the cheapest under several weights and among those that a metric
lists: still no walk can leave the budget or get stuck, but some networks that fit may be out of reach.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from operator import getitem

import numpy as np

from nat_plugin.errors import NATError
from nat_plugin.ir.budget import METRICS, Additive, BySlot, Limits, ListedMetric, plain_amount
from nat_plugin.ir.canonical import is_connected
from nat_plugin.ir.completion import CellCosts, Pair
from nat_plugin.ir.edge_costs import EdgeCosts, edge_costs
from nat_plugin.ir.network import Edge, Network, Slot
from nat_plugin.ir.ops import Op
from nat_plugin.ir.rules import Rule
from nat_plugin.ir.walk import Choice, CompletionSearch, Walk
from nat_plugin.ir.wiring import wiring

_COLUMNS = {"params": 0, "macs": 1}
"""The metrics that are sums over live edges."""
_LARGEST = 2**53
"""Up to here numpy's floats are exact."""
_TRIED = 20_000
"""So many combinations are tried one by one before several limits together are said to fit nothing."""


class Moves:
    """What may become of ``network`` under ``rule`` within ``limits``.

    Ensures for every network reached by ``walk``: same nodes, legal moves only, within every limit, output connected;
    a cell whose output is read as it stands (no projection after it) keeps its width. Where the rule is ``by_measure``
    what is limited decides which ops may stand in for others.
    Raises NATError if no legal network fits.
    """

    def __init__(self, network: Network, rule: Rule, limits: Limits | None = None) -> None:
        self.network, self.rule, self.limits = network, rule, limits or Limits()
        self.slots = network.slots
        self._edge_costs = edge_costs(network)
        found = [_candidates(self._edge_costs, rule, slot.cell, network.edge(slot)) for slot in self.slots]
        others = [self._stand_ins(slot) for slot in self.slots]
        self.candidates: tuple[tuple[Op, ...], ...] = tuple(
            options + more for (options, _), more in zip(found, others, strict=True)
        )
        self.nonnull = tuple(nonnull + (True,) * len(more) for (_, nonnull), more in zip(found, others, strict=True))
        self.by_measure = any(others)
        """Whether some candidates cost less by a measure that is limited, and more by another."""
        self.parts = self._parts()
        self._wirings = {
            name: (wiring(network.by_name[name]), self._edge_costs.keeps_width(name)) for name, _, _ in self.parts
        }
        self._admitted: dict[Choice, bool] = {}
        self.column_limits = self._column_limits()
        if not self.admits(self.identity) and not self._anything_fits():
            raise NATError(self._nothing_fits())

    @property
    def identity(self) -> Choice:
        """The choice that changes nothing."""
        return (0,) * len(self.slots)

    @property
    def count(self) -> int:
        """How many combinations the candidates have, before budget and connection are asked."""
        return math.prod(len(options) for options in self.candidates)

    def ops(self, choice: Sequence[int]) -> tuple[Op, ...]:
        return tuple(options[index] for options, index in zip(self.candidates, choice, strict=True))

    def apply(self, choice: Sequence[int]) -> Network:
        return self.network.with_ops(self.ops(choice))

    def live(self, choices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of choices (n, slots): whether the output depends on the input, (n,), and which slots are alive, (n, slots).
        What differs in dead slots alone is written the same."""
        used = self._used[np.arange(choices.shape[1]), choices]
        there, alive = np.ones(len(choices), bool), np.zeros(choices.shape, bool)
        for name, first, end in self.parts:
            fed, alive[:, first:end] = self._wirings[name][0].live(used[:, first:end])
            there &= fed
        return there, alive

    def keeps_outputs(self, choice: Sequence[int]) -> bool:
        """Whether all that the output of a cell joins is still there."""
        return all(before <= self._outputs(name, first, end, choice) for name, first, end, before in self._joined)

    @cached_property
    def _joined(self) -> list[tuple[str, int, int, frozenset[int]]]:
        """The cells whose output joins several nodes, and which."""
        found = [(*part, self._outputs(*part, self.identity)) for part in self.parts]
        return [each for each in found if len(each[-1]) > 1]

    def _outputs(self, name: str, first: int, end: int, choice: Sequence[int]) -> frozenset[int]:
        bits = sum(map(getitem, self._bits[first:end], choice[first:end]))
        return frozenset(self._wirings[name][0].state(bits).output)

    @cached_property
    def _used(self) -> np.ndarray:
        """Whether each candidate is an operation or a skip, (slots, most candidates)."""
        found = np.zeros((len(self.slots), max(map(len, self.candidates), default=0)), bool)
        for slot, each in enumerate(self.nonnull):
            found[slot, : len(each)] = each
        return found

    @cached_property
    def _bits(self) -> tuple[tuple[int, ...], ...]:
        """By slot and candidate, the bit of the slot within its cell, or 0 for nothing."""
        places = [slot - first for _, first, end in self.parts for slot in range(first, end)]
        return tuple(tuple(used << place for used in each) for each, place in zip(self.nonnull, places, strict=True))

    def choice(self, network: Network) -> Choice:
        """The choice that gives ``network``; NATError if it is not reachable by legal moves."""
        if not self.network.differs_in_ops_only(network):
            raise NATError("the networks differ in more than the ops of their editable edges")
        choice = []
        for slot, options, op in zip(self.slots, self.candidates, network.ops, strict=True):
            if op not in options:
                edge = self.network.edge(slot)
                raise NATError(f"'{edge.op}' may not become '{op}' on edge '{edge.key}' under rules '{self.rule.name}'")
            choice.append(options.index(op))
        return tuple(choice)

    def verify(self, network: Network) -> None:
        """Check a transformed network: legal moves, connected, within every limit. Raises NATError otherwise."""
        choice = self.choice(network)
        if not is_connected(network):
            raise NATError("the output of the network no longer depends on its input")
        if not self._is_connected(choice):
            raise NATError("a cell lost a part of its output that the cells after it need")
        broken = self.limits.broken(network)
        if broken:
            raise NATError("; ".join(broken))

    def walk(self) -> Walk:
        return Walk(self)

    def sample(self, rng: np.random.Generator) -> Choice:
        """Slot by slot, uniform over the open candidates."""
        walk = self.walk()
        while not walk.done:
            opened = np.flatnonzero(walk.open())
            walk.take(int(opened[rng.integers(len(opened))]))
        return walk.choice

    def all(self) -> Iterator[Choice]:
        """Every choice that is connected and within the limits (by trying all combinations; mind ``count``)."""

        def extend(prefix: Choice) -> Iterator[Choice]:
            if len(prefix) == len(self.slots):
                if self.admits(prefix):
                    yield prefix
                return
            for index in range(len(self.candidates[len(prefix)])):
                yield from extend((*prefix, index))

        return extend(())

    def admits(self, choice: Choice) -> bool:
        """Whether a choice is connected and within every limit, counted exactly."""
        if not self.limits.values:
            return self._is_connected(choice)
        if self.column_limits is not None:
            total = self.total(choice)
            return total is not None and all(total[column] <= limit for column, limit in self.column_limits)
        known = self._admitted.get(choice)
        if known is None:
            known = self._is_connected(choice) and self.limits.fit(self.apply(choice))
            if len(self._admitted) > 200_000:
                self._admitted.clear()
            self._admitted[choice] = known
        return known

    def total(self, choice: Sequence[int]) -> Pair | None:
        """Exact parameters and MACs of a choice; None if it is not connected."""
        params, macs = self.base
        for name, first, end in self.parts:
            each = self.cells[name].total(choice[first:end])
            if each is None:
                return None
            params, macs = params + each[0], macs + each[1]
        return params, macs

    @cached_property
    def costs(self) -> np.ndarray:
        """Cost of every candidate summed over the placements, as floats (slots, most candidates, [params, macs])."""
        table = np.zeros((len(self.slots), max(map(len, self.candidates), default=0), 2))
        for i, (slot, options) in enumerate(zip(self.slots, self.candidates, strict=True)):
            edge = self.network.edge(slot)
            for j, op in enumerate(options):
                table[i, j] = self._edge_costs.cost(slot.cell, edge.source, edge.target, op)
        return table

    @cached_property
    def listed(self) -> tuple[Choice, ...]:
        """The choices within the limits that a metric names which holds for a list of networks (``ListedMetric``)."""
        found: dict[Choice, None] = {}
        for name, _ in self.limits.values:
            metric = self.limits.metrics[name]
            for network in metric.like(self.network) if isinstance(metric, ListedMetric) else ():
                with suppress(NATError):
                    choice = self.choice(network)
                    if self.admits(choice):
                        found[choice] = None
        return tuple(found)

    @cached_property
    def cheapest(self) -> tuple[Choice, ...]:
        """For every limit on a sum beyond parameters and MACs, a choice that takes little of it."""
        metrics = (self.limits.metrics[name] for name, _ in self.limits.values)
        return tuple(self._cheapest(metric) for metric in metrics if isinstance(metric, Additive))

    def _cheapest(self, metric: BySlot) -> Choice:
        """Every slot by itself; where that does not hold a cell together, the most expensive ops go first."""
        choice: list[int] = []
        for name, first, end in self.parts:
            best: list[int] = []
            spare: list[tuple[float, int, int]] = []
            for place in range(first, end):
                nonnull = self.nonnull[place]
                costs = [metric.change(self.network, self.slots[place], op) for op in self.candidates[place]]
                order = sorted(range(len(costs)), key=costs.__getitem__)
                best.append(next((index for index in order if nonnull[index]), order[0]))
                null = nonnull.index(False) if not all(nonnull) else None
                if null is not None and nonnull[best[-1]] and costs[best[-1]] >= costs[null]:
                    spare.append((costs[null] - costs[best[-1]], place - first, null))
            for _, place, null in sorted(spare):
                without = [*best[:place], null, *best[place + 1 :]]
                if self.is_whole(name, sum(self.nonnull[first + i][each] << i for i, each in enumerate(without))):
                    best = without
            choice += best
        return tuple(choice)

    def _stand_ins(self, slot: Slot) -> tuple[Op, ...]:
        """Ops that may do the work of the one in a slot because they cost less by a measure that is limited."""
        edge = self.network.edge(slot)
        options = self.rule.stand_ins(edge, self._edge_costs.sites(slot.cell, edge.source, edge.target))
        if self.limits.held_elsewhere:
            return options
        return tuple(op for op in options if any(self._saves(name, slot, op) for name, _ in self.limits.values))

    def _saves(self, name: str, slot: Slot, op: Op) -> bool:
        metric, edge = self.limits.metrics[name], self.network.edge(slot)
        if metric is METRICS.get(name):
            its, own = (self._edge_costs.cost(slot.cell, edge.source, edge.target, each) for each in (op, edge.op))
            return its[_COLUMNS[name]] < own[_COLUMNS[name]]
        return isinstance(metric, BySlot) and metric.change(self.network, slot, op) < 0

    def _parts(self) -> tuple[tuple[str, int, int], ...]:
        """Every placed cell, and its first slot and the one after its last."""
        counts: dict[str, int] = {}
        for slot in self.slots:
            counts[slot.cell] = counts.get(slot.cell, 0) + 1
        placed = {placement.cell for placement in self.network.placements}
        parts, first = [], 0
        for name, _ in self.network.cells:
            if name in placed:
                end = first + counts.get(name, 0)
                parts.append((name, first, end))
                first = end
        return tuple(parts)

    def _column_limits(self) -> tuple[tuple[int, int], ...] | None:
        """Column and largest whole number allowed for every limit; None if one is not a sum over edges."""
        for name, _ in self.limits.values:
            if name not in _COLUMNS or self.limits.metrics[name] is not METRICS[name]:
                return None
        return tuple((_COLUMNS[name], math.floor(limit)) for name, limit in self.limits.values)

    def is_whole(self, name: str, bits: int) -> bool:
        """Whether a cell is connected (and as wide as it must be) if just the ``bits`` of its slots are not null."""
        found, keep = self._wirings[name]
        state = found.state(bits)
        return state.whole if keep else state.connected

    def _is_connected(self, choice: Sequence[int]) -> bool:
        for name, first, end in self.parts:
            if not self.is_whole(name, sum(map(getitem, self._bits[first:end], choice[first:end]))):
                return False
        return True

    @cached_property
    def cells(self) -> dict[str, CellCosts]:
        """The exact costs of every placed cell."""
        found = {}
        for name, first, _ in self.parts:
            cell = self.network.by_name[name]
            open_slots = iter(self.candidates[first:])
            options = [next(open_slots) if edge.editable else (edge.op,) for edge in cell.edges]
            costs = [
                [self._edge_costs.cost(name, edge.source, edge.target, op) for op in ops]
                for edge, ops in zip(cell.edges, options, strict=True)
            ]
            outputs, keep = self._edge_costs.outputs(name), self._edge_costs.keeps_width(name)
            found[name] = CellCosts(cell, options, costs, self._edge_costs.norms(name), outputs, keep)
        return found

    @cached_property
    def base(self) -> Pair:
        """Parameters and MACs of what no move changes."""
        params, macs = self._edge_costs.fixed
        for name, _, _ in self.parts:
            for each in self._edge_costs.outputs(name):
                params, macs = params - each[0], macs - each[1]
            params -= sum(self._edge_costs.norms(name))
        largest = self.costs.max(axis=1, initial=0).sum(axis=0)
        if max(params + largest[0], macs + largest[1]) > _LARGEST:
            raise NATError(f"a network of this size is beyond exact counting ({_LARGEST:,})")
        return params, macs

    @cached_property
    def search(self) -> CompletionSearch:
        return CompletionSearch(self, self._weights(1))

    def _weights(self, between: int) -> np.ndarray:
        """The weights under which completions are looked for. One limit on one metric: just that."""
        if self.column_limits is not None and len(self.column_limits) == 1:
            return np.eye(2)[[self.column_limits[0][0]]]
        scale = np.ones(2)
        for column, limit in self.column_limits or ():
            scale[column] = max(1, min(limit, _LARGEST))
        share = np.arange(1, between + 1)[:, None] / (between + 1)
        return np.concatenate([np.eye(2), share * (1 / scale) * [1, 0] + (1 - share) * (1 / scale) * [0, 1]])

    def _anything_fits(self) -> bool:
        if not self.limits.values:
            return all(
                self.is_whole(name, sum(any(self.nonnull[i]) << (i - first) for i in range(first, end)))
                for name, first, end in self.parts
            )
        if self.column_limits is not None and len(self.column_limits) == 1:
            return bool(self.search.least[0] <= self.column_limits[0][1])
        return self.start is not None

    @cached_property
    def start(self) -> Choice | None:
        """Some choice that fits."""
        if self.admits(self.identity):
            return self.identity
        for between in (1, 31):
            self.search = CompletionSearch(self, self._weights(between))
            tried = (*self.cheapest, *self.search.cheapest)
            found = next((choice for choice in tried if self.admits(choice)), None)
            found = next(iter(self.listed), None) if found is None else found
            if found is not None or not np.isfinite(self.search.least).all():
                return found
        self.cheapest = (*self.cheapest, *self._measured_cheapest())
        found = next((choice for choice in self.cheapest if self.admits(choice)), None)
        if found is not None:
            return found
        return next(self.all(), None) if self.count <= _TRIED else None

    def _measured_cheapest(self) -> Iterator[Choice]:
        """As ``cheapest``, by metrics that are measured op by op when they are asked: only where nothing else fits."""
        for name, _ in self.limits.values:
            metric = self.limits.metrics[name]
            if isinstance(metric, BySlot) and not isinstance(metric, Additive):
                yield self._cheapest(metric)

    def _nothing_fits(self) -> str:
        if not self.limits.values or not np.isfinite(self.search.least).all():
            return f"no legal network under rules '{self.rule.name}' has an output that depends on its input"
        lines, way = [], "raise the limit or use wider rules"
        for name, limit in self.limits.values:
            metric = self.limits.metrics[name]
            tried = (*filter(self._is_connected, self.cheapest), *self.search.cheapest)
            least = min(metric(self.apply(choice)) for choice in tried)
            lines.append(f"{name} {plain_amount(least)} (limit {plain_amount(limit)})")
            if name in METRICS and 0 < limit <= 1:
                way = f"write {name}={float(limit):g}x for a share of the input"
        return (
            f"no network reachable under rules '{self.rule.name}' fits the budget; the cheapest has "
            f"{', '.join(lines)}; {way}"
        )


def _candidates(table: EdgeCosts, rule: Rule, cell: str, edge: Edge) -> tuple[tuple[Op, ...], tuple[bool, ...]]:
    """The candidates of an edge and which of them are not null, kept with the table of edge costs."""
    wanted = (rule, cell, edge.source, edge.target, edge.op, edge.choices)
    found = table.candidates.get(wanted)
    if found is None:
        options = rule.candidates(edge, table.sites(cell, edge.source, edge.target))
        found = table.candidates[wanted] = options, tuple(not op.is_null for op in options)
    return found
