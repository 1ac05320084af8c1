"""The legal transformations of one network under a rule set and a budget, and a walk that can only reach those.

A walk decides the slots in turn. A candidate is open if some *witness* exists: the decisions so far, the candidate, and
the rest taken from a reference network, together connected and within every limit. So no walk can end over budget or
get stuck. References are the input itself and the cheapest legal networks by each limited metric. Costs are first
bounded by the plain sum over edges, which is exact unless operations are dead; only then is a witness counted exactly.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TypeAlias

import numpy as np

from nat_plugin.errors import NATError
from nat_plugin.ir.budget import Limits
from nat_plugin.ir.canonical import is_connected, live
from nat_plugin.ir.cheapest import cheapest_choice
from nat_plugin.ir.costs import costs_as_built, slot_costs, slot_sites
from nat_plugin.ir.network import Network
from nat_plugin.ir.ops import Op
from nat_plugin.ir.rules import Rule

Choice: TypeAlias = tuple[int, ...]
"""One candidate number per slot."""


class Moves:
    """What may become of ``network`` under ``rule`` within ``limits``.

    Ensures for every network reached by ``walk``: same nodes, legal moves only, within every limit, output connected.
    Raises NATError if no legal network fits.
    """

    def __init__(self, network: Network, rule: Rule, limits: Limits | None = None) -> None:
        self.network, self.rule, self.limits = network, rule, limits or Limits()
        sites = slot_sites(network)
        self.slots = network.slots
        self.candidates: tuple[tuple[Op, ...], ...] = tuple(
            rule.candidates(network.edge(slot), sites[slot]) for slot in self.slots
        )
        self._nonnull = tuple(tuple(not op.is_null for op in options) for options in self.candidates)
        self._exact: dict[Choice, bool] = {}
        self._cells: dict[tuple[str, int], tuple[bool, bool]] = {}
        self._suffixes: dict[int, list[tuple[float, ...]]] = {}
        self._first: dict[str, int] = {}
        for number, slot in enumerate(self.slots):
            self._first.setdefault(slot.cell, number)
        if not self._references:
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

    def choice(self, network: Network) -> Choice:
        """The choice that gives ``network``; NATError if it is not reachable by legal moves."""
        same = (network.placements, network.stem, network.head, network.input, network.slots)
        if same != (*self._frame, self.slots):
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
        self.choice(network)
        if not is_connected(network):
            raise NATError("the output of the network no longer depends on its input")
        broken = self.limits.broken(network)
        if broken:
            raise NATError("; ".join(broken))

    def walk(self) -> Walk:
        return Walk(self)

    def sample(self, rng: np.random.Generator) -> Choice:
        """Slot by slot, uniform over the open candidates."""
        walk = self.walk()
        while not walk.done:
            walk.take(int(rng.choice(np.flatnonzero(walk.open()))))
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
        known = self._exact.get(choice)
        if known is None:
            network = self.apply(choice)
            known = is_connected(network) and self.limits.fit(network)
            if len(self._exact) > 200_000:
                self._exact.clear()
            self._exact[choice] = known
        return known

    @property
    def _frame(self) -> tuple[object, ...]:
        return self.network.placements, self.network.stem, self.network.head, self.network.input

    @cached_property
    def costs(self) -> np.ndarray:
        """Cost of every candidate summed over the placements, as floats (slots, most candidates, [params, macs])."""
        table = np.zeros((len(self.slots), max(map(len, self.candidates), default=0), 2))
        for i, (slot, options) in enumerate(zip(self.slots, self.candidates, strict=True)):
            for j, op in enumerate(options):
                each = slot_costs(self.network, slot, op)
                table[i, j] = each.params, each.macs
        return table

    @cached_property
    def _additive(self) -> tuple[tuple[float, ...], list[list[tuple[float, ...]]]] | None:
        """Room for the editable edges by limit, and the cost of every candidate; None if a metric is not additive."""
        columns = {"params": 0, "macs": 1}
        if any(name not in columns for name, _ in self.limits.values):
            return None
        fixed = costs_as_built(self.network).fixed
        room = tuple(math.floor(limit) - getattr(fixed, name) for name, limit in self.limits.values)
        wanted = [columns[name] for name, _ in self.limits.values]
        return room, [[tuple(row[wanted]) for row in options] for options in self.costs]

    @cached_property
    def _references(self) -> tuple[Choice, ...]:
        """Connected choices within the limits to complete a walk with."""
        found = [self.identity] if self.admits(self.identity) else []
        if self.limits.values or not found:
            found += [choice for choice in self._cheapest if choice not in found and self.admits(choice)]
        return tuple(found)

    @cached_property
    def _cheapest(self) -> tuple[Choice, ...]:
        weights = [(1.0, 0.0), (0.0, 1.0)]
        total = self.costs.sum(axis=(0, 1))
        weights.append((1.0 / max(total[0], 1.0), 1.0 / max(total[1], 1.0)))
        found = (cheapest_choice(self.network, self.candidates, self.costs @ np.array(weight), weight) for weight in weights)
        return tuple(dict.fromkeys(choice for choice in found if choice is not None))

    def _nothing_fits(self) -> str:
        if not self._cheapest:
            return f"no legal network under rules '{self.rule.name}' has an output that depends on its input"
        lines = []
        for name, limit in self.limits.values:
            metric = self.limits.metrics[name]
            least = min(metric(self.apply(choice)) for choice in self._cheapest)
            lines.append(f"{name} {least:,.0f} (limit {float(limit):,.0f})")
        return (
            f"no network reachable under rules '{self.rule.name}' fits the budget; the cheapest has {', '.join(lines)}; "
            "raise the limit or use wider rules"
        )

    def _suffix(self, number: int) -> list[tuple[float, ...]]:
        """Cost of the slots from each position on, in a reference."""
        known = self._suffixes.get(number)
        if known is None:
            assert self._additive is not None
            rows = [self._additive[1][i][index] for i, index in enumerate(self._references[number])]
            known = [(0.0,) * len(self.limits.values)]
            for row in reversed(rows):
                known.append(tuple(a + b for a, b in zip(known[-1], row, strict=True)))
            known.reverse()
            self._suffixes[number] = known
        return known

    def _is_whole(self, choice: Choice) -> bool:
        """Whether a choice leaves no dead op, so that the sum over edges is its exact cost."""
        bits: dict[str, int] = dict.fromkeys(self._first, 0)
        for i, (slot, index) in enumerate(zip(self.slots, choice, strict=True)):
            bits[slot.cell] |= self._nonnull[i][index] << (i - self._first[slot.cell])
        return all(self._cell_state(cell, mask)[1] for cell, mask in bits.items())

    def _cell_state(self, cell: str, bits: int) -> tuple[bool, bool]:
        """Whether a cell is connected, and free of dead ops, if just the ``bits`` of its slots are not null."""
        state = self._cells.get((cell, bits))
        if state is None:
            first = self._first[cell]
            ops = []
            for i, (slot, options) in enumerate(zip(self.slots, self.candidates, strict=True)):
                wanted = slot.cell == cell and bool(bits >> (i - first) & 1)
                flags = self._nonnull[i]
                ops.append(options[flags.index(wanted)] if slot.cell == cell else options[0])
            built = self.network.with_ops(ops).by_name[cell]
            alive = live(built)
            whole = all(keep or edge.op.is_null for keep, edge in zip(alive.edges, built.edges, strict=True))
            state = bool(alive.output), whole and len(alive.output) == len(built.output)
            self._cells[cell, bits] = state
        return state


class Walk:
    """Decisions slot by slot. ``open()`` tells which candidates of the next slot can still be completed."""

    def __init__(self, moves: Moves) -> None:
        self._moves = moves
        self._choice: list[int] = []
        limits = len(moves.limits.values)
        self._spent = (0.0,) * limits
        self._bits: dict[str, int] = dict.fromkeys(moves._first, 0)

    @property
    def choice(self) -> Choice:
        return tuple(self._choice)

    @property
    def done(self) -> bool:
        return len(self._choice) == len(self._moves.slots)

    @property
    def spent(self) -> tuple[float, ...]:
        return self._spent

    def open(self) -> np.ndarray:
        """One bool per candidate of the next slot; at least one is true."""
        position = len(self._choice)
        options = self._moves.candidates[position]
        return np.fromiter((self._completes(position, index) for index in range(len(options))), bool, len(options))

    def take(self, index: int) -> None:
        moves, position = self._moves, len(self._choice)
        self._choice.append(index)
        cell = moves.slots[position].cell
        if moves._nonnull[position][index]:
            self._bits[cell] |= 1 << (position - moves._first[cell])
        if moves._additive is not None and self._spent:
            self._spent = tuple(a + b for a, b in zip(self._spent, moves._additive[1][position][index], strict=True))

    def _completes(self, position: int, index: int) -> bool:
        moves = self._moves
        return any(self._witness(position, index, number) for number in range(len(moves._references)))

    def _witness(self, position: int, index: int, number: int) -> bool:
        moves = self._moves
        reference = moves._references[number]
        cell = moves.slots[position].cell
        first = moves._first[cell]
        bits = self._bits[cell] | moves._nonnull[position][index] << (position - first)
        for later in range(position + 1, len(moves.slots)):
            if moves.slots[later].cell != cell:
                break
            bits |= moves._nonnull[later][reference[later]] << (later - first)
        connected, _ = moves._cell_state(cell, bits)
        if not connected:
            return False
        if not moves.limits.values:
            return True
        whole = (*self._choice, index, *reference[position + 1 :])
        if moves._additive is not None:
            room, table = moves._additive
            rest = moves._suffix(number)[position + 1]
            costs = (s + c + r for s, c, r in zip(self._spent, table[position][index], rest, strict=True))
            if all(value <= limit for value, limit in zip(costs, room, strict=True)):
                return True
            if moves._is_whole(whole):
                return False
        return moves.admits(whole)
