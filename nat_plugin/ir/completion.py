"""All choices of one cell: what each costs exactly, and the cheapest way to complete one that is half decided.

Dead operations cost nothing, so costs do not simply add up over edges. They do once it is said *which nodes are alive*:
an edge between two live nodes costs what its op costs, every other edge is free (null, or dead). So the cheapest
completion is the least over the sets of live nodes, and for a given set every edge takes its cheapest op by itself;
only "a live node has at least one input" joins the edges of one node. All sets are looked at side by side (numpy), for
cells of up to ``MAX_NODES`` inner nodes all of them, which makes the answer exact; beyond that a chosen family.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TypeAlias

import numpy as np

from nat_plugin.ir.canonical import live
from nat_plugin.ir.network import Cell
from nat_plugin.ir.ops import Op
from nat_plugin.ir.wiring import CellWiring, wiring

Pair: TypeAlias = tuple[int, int]
"""Parameters and MACs."""

MAX_NODES = 10
_CACHED = 100_000


@dataclass(frozen=True, eq=False)
class CellCosts:
    """What a cell can become: ``options`` of every edge and their ``costs`` over all placements (a fixed edge has one),
    ``norms``: parameters by inner node, ``outputs``: what each position of the output costs in the cells after. With
    ``keep`` every output node needs an input."""

    cell: Cell
    options: Sequence[Sequence[Op]]
    costs: Sequence[Sequence[Pair]]
    norms: Sequence[int]
    outputs: Sequence[Pair]
    keep: bool

    @cached_property
    def slots(self) -> list[int]:
        """The editable edges; a choice has one number for each."""
        return [index for index, edge in enumerate(self.cell.edges) if edge.editable]

    @cached_property
    def _bits(self) -> list[list[int]]:
        """By slot, the bit of each option that is not null."""
        return [[(not op.is_null) << position for op in self.options[slot]] for position, slot in enumerate(self.slots)]

    @cached_property
    def wiring(self) -> CellWiring:
        return wiring(self.cell)

    def total(self, choice: Sequence[int]) -> Pair | None:
        """Exact parameters and MACs of a choice; None if it is not connected, or loses an output that must be kept.
        Kept: of two choices that a search compares, most cells are the same."""
        wanted = tuple(choice)
        if wanted not in self._totals:
            if len(self._totals) >= _CACHED:
                self._totals.clear()
            self._totals[wanted] = self._total(wanted)
        return self._totals[wanted]

    @cached_property
    def _totals(self) -> dict[tuple[int, ...], Pair | None]:
        return {}

    def _total(self, choice: Sequence[int]) -> Pair | None:
        bits = 0
        picked = [0] * len(self.options)
        for slot, index, live_bits in zip(self.slots, choice, self._bits, strict=True):
            picked[slot] = index
            bits |= live_bits[index]
        state = self.wiring.state(bits)
        if not (state.whole if self.keep else state.connected):
            return None
        params = macs = 0
        for edge in state.edges:
            each = self.costs[edge][picked[edge]]
            params, macs = params + each[0], macs + each[1]
        for node in state.nodes:
            params += self.norms[node - self.cell.inputs]
        for position in state.output:
            each = self.outputs[position]
            params, macs = params + each[0], macs + each[1]
        return params, macs


@lru_cache(maxsize=256)
def _node_sets(inputs: int, inner: int, output: tuple[int, ...], keep: bool) -> np.ndarray:
    """Every set of nodes that may be alive, as bools (node, set): inputs always, all or some of the output."""
    sets = np.ones((inputs + inner, 2**inner), bool)
    sets[inputs:] = (np.arange(2**inner) >> np.arange(inner)[:, None]) & 1
    ends = sets[list(output)]
    return sets[:, ends.all(axis=0) if keep else ends.any(axis=0)]


class CellSpace:
    """The cheapest choices of a cell under ``weights`` (number, 2): weighted sums of parameters and MACs."""

    def __init__(self, costs: CellCosts, weights: np.ndarray) -> None:
        self.cell, self.options, self.slots = costs.cell, costs.options, costs.slots
        self.weights = weights
        self._norms, self._outputs, self._keep = costs.norms, costs.outputs, costs.keep
        self.nulls = [np.array([op.is_null for op in ops]) for ops in self.options]
        self.forced = sum((not nulls.any()) << index for index, nulls in enumerate(self.nulls))
        self.entering: dict[int, list[int]] = {}
        for index, edge in enumerate(self.cell.edges):
            self.entering.setdefault(edge.target, []).append(index)
        self._penalties: dict[int, np.ndarray] = {}
        self.weighted = [np.array(rows, float) @ weights.T for rows in costs.costs]  # (option, weight)
        for values, nulls in zip(self.weighted, self.nulls, strict=True):
            values[nulls] = 0
        inner = len(self.cell.nodes)
        if inner <= MAX_NODES:
            self._prepare(_node_sets(self.cell.inputs, inner, self.cell.output, self._keep))
        else:
            self._prepare(self._family())

    def _prepare(self, alive: np.ndarray) -> None:
        """Everything that depends on the sets of live nodes."""
        self.alive = alive
        self._penalties.clear()
        ends = np.einsum("wc,oc,os->ws", self.weights, np.array(self._outputs, float), alive[list(self.cell.output)])
        norms = np.array(self._norms, float).reshape(1, -1) @ alive[self.cell.inputs :]
        self.base = ends + self.weights[:, :1] * norms  # (weight, set)
        self.sums, self.fixes, self.option_sums, self.option_fixes = [], [], [], []
        for edge, values, nulls in zip(self.cell.edges, self.weighted, self.nulls, strict=True):
            there = alive[edge.source]
            needed = np.where(nulls[:, None], np.inf, values)
            least = values.min(axis=0)
            self.sums.append(least[:, None] * there)
            self.fixes.append(np.where(there, (needed.min(axis=0) - least)[:, None], np.inf))
            self.option_sums.append(values[:, :, None] * there)
            self.option_fixes.append(np.where(there, (needed - values)[:, :, None], np.inf))

    def term(self, node: int, sums: Sequence[np.ndarray], fixes: Sequence[np.ndarray]) -> np.ndarray:
        """What the edges into a node cost at least, where it is alive: ``fixes`` is the price of not being null."""
        entering = self.entering.get(node)
        if not entering:
            return np.where(self.alive[node], np.inf, 0.0)
        least = sums[entering[0]] + np.minimum.reduce([fixes[edge] for edge in entering])
        for edge in entering[1:]:
            least = least + sums[edge]
        return np.where(self.alive[node], least, 0.0)

    def penalty(self, forced: int) -> np.ndarray:
        """Infinite for sets that cannot be, given the edges that cannot be null: a node that is fed by them but not
        alive must be no output, and must feed no live node."""
        known = self._penalties.get(forced)
        if known is None:
            fed = self.alive.copy()
            bad = np.zeros(fed.shape[1], bool)
            for index, edge in enumerate(self.cell.edges):
                if forced >> index & 1:
                    fed[edge.target] |= fed[edge.source]
                    bad |= fed[edge.source] & ~self.alive[edge.source] & self.alive[edge.target]
            for node in self.cell.output:
                bad |= fed[node] & ~self.alive[node]
            known = np.where(bad, np.inf, 0.0)
            if len(self._penalties) >= _CACHED // fed.shape[1] + 1:
                self._penalties.clear()
            self._penalties[forced] = known
        return known

    def least(self) -> np.ndarray:
        """The least weighted cost of any choice, by weight; infinite if the cell cannot be connected."""
        least: np.ndarray = self._root().min(axis=1, initial=np.inf)
        return least

    def _root(self) -> np.ndarray:
        root: np.ndarray = self.base + self.penalty(self.forced)
        for node in self.inner:
            root = root + self.term(node, self.sums, self.fixes)
        return root

    @property
    def inner(self) -> range:
        return range(self.cell.inputs, self.cell.inputs + len(self.cell.nodes))

    def cheapest(self, weight: int) -> tuple[int, ...]:
        """The choice that has ``least`` cost under a weight."""
        return self.spell([None] * len(self.slots), int(self._root()[weight].argmin()), weight)

    def spell(self, decided: Sequence[int | None], number: int, weight: int) -> tuple[int, ...]:
        """The cheapest choice with some slots decided whose live nodes are those of a set."""
        slot_of = {slot: position for position, slot in enumerate(self.slots)}
        picked: dict[int, int] = {}
        for node in self.inner:
            rows = []
            for edge in self.entering.get(node, []):
                position = slot_of.get(edge)
                fixed = decided[position] if position is not None else None
                allowed = [fixed] if fixed is not None else list(range(len(self.options[edge])))
                values, nulls = self.weighted[edge][:, weight], self.nulls[edge]
                free = next((j for j in allowed if nulls[j]), allowed[0])
                picked[edge] = free
                if self.alive[node, number] and self.alive[self.cell.edges[edge].source, number]:
                    picked[edge] = min(allowed, key=lambda j: (values[j], bool(nulls[j])))
                    needed = [j for j in allowed if not nulls[j]]
                    if needed:
                        best = min(needed, key=lambda j: values[j])
                        rows.append((values[best] - values[picked[edge]], edge, best))
            if rows and all(self.nulls[edge][picked[edge]] for _, edge, _ in rows):
                _, edge, best = min(rows)
                picked[edge] = best
        return tuple(picked[slot] for slot in self.slots)

    def _family(self) -> np.ndarray:
        """Some sets of live nodes for a large cell: all, those of the cell as it is, and cheaper ones on the way
        down from there, node by node."""
        count = self.cell.inputs + len(self.cell.nodes)
        now = [node < self.cell.inputs or alive for node, alive in enumerate(live(self.cell).nodes)]
        seeds = [np.ones(count, bool), np.array(now)]
        found = {seed.tobytes(): seed for seed in seeds}
        if self.slots:
            for weight in range(len(self.weights)):
                for seed in seeds:
                    self._lower(seed, weight, found)
        return np.stack(list(found.values()), axis=1)

    def _lower(self, start: np.ndarray, weight: int, found: dict[bytes, np.ndarray]) -> None:
        now = np.inf
        for _ in range(2 * len(start)):
            around = np.repeat(start[:, None], len(start), axis=1)
            np.fill_diagonal(around, ~start)
            around[: self.cell.inputs] = True
            self._prepare(np.concatenate([around, start[:, None]], axis=1))
            values = self._root()[weight]
            ends = self.alive[list(self.cell.output)]
            values[~(ends.all(axis=0) if self._keep else ends.any(axis=0))] = np.inf
            best = int(values.argmin())
            if not values[best] < now:
                return
            now, start = values[best], self.alive[:, best].copy()
            found.setdefault(start.tobytes(), start)


class Partial:
    """A cell whose first slots are decided."""

    def __init__(self, space: CellSpace) -> None:
        self.space = space
        self.choice: list[int] = []
        self._forced = space.forced
        self._sums, self._fixes = list(space.sums), list(space.fixes)
        self._target = -1
        self._rest = self._totals = space.base

    def least(self) -> np.ndarray:
        """The least weighted cost of any completion (candidate of the next slot, weight); infinite without any."""
        space = self.space
        slot = space.slots[len(self.choice)]
        target = space.cell.edges[slot].target
        if target != self._target:
            self._target = target
            self._rest = space.base
            for node in space.inner:
                if node != target:
                    self._rest = self._rest + space.term(node, self._sums, self._fixes)
        sums, fixes = space.option_sums[slot], space.option_fixes[slot]
        for other in space.entering[target]:
            if other != slot:
                sums, fixes = sums + self._sums[other], np.minimum(fixes, self._fixes[other])
        totals = self._rest + np.where(space.alive[target], sums + fixes, 0.0)
        bit, nulls = 1 << slot, space.nulls[slot]
        if nulls.any():
            totals[nulls] += space.penalty(self._forced)
        if not nulls.all():
            totals[~nulls] += space.penalty(self._forced | bit)
        self._totals = totals
        least: np.ndarray = totals.min(axis=2, initial=np.inf)
        return least

    def completion(self, index: int, weight: int) -> tuple[int, ...]:
        """The completion that has the ``least`` cost (just asked for, and finite)."""
        decided = [*self.choice, index, *[None] * (len(self.space.slots) - len(self.choice) - 1)]
        return self.space.spell(decided, int(self._totals[index, weight].argmin()), weight)

    def take(self, index: int) -> None:
        space, slot = self.space, self.space.slots[len(self.choice)]
        self.choice.append(index)
        self._sums[slot], self._fixes[slot] = space.option_sums[slot][index], space.option_fixes[slot][index]
        if not space.nulls[slot][index]:
            self._forced |= 1 << slot
