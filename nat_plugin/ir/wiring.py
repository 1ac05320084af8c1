"""What of a cell is alive, by the wiring alone: shared by all cells whose edges lead the same ways."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import NamedTuple, TypeAlias

import numpy as np

from nat_plugin.ir.network import Cell

_CACHED = 50_000
_FEW = 8
"""Slots of a cell of which all states are written down."""


class Wiring(NamedTuple):
    """Whether the output has an input, and each of its nodes one (``whole``); the live edges and inner nodes, and the
    positions of the output that are fed."""

    connected: bool
    whole: bool
    edges: tuple[int, ...]
    nodes: tuple[int, ...]
    output: tuple[int, ...]


class CellWiring:
    """Where the edges of a cell lead. ``slots``: by edge, the number of its slot, or if fixed -1 (op) or -2 (null)."""

    def __init__(self, key: _WiringKey) -> None:
        self._inputs, self._ends, self._slots, self._output = key
        self._states: dict[int, Wiring] = {}
        self._live: dict[int, tuple[bool, ...]] = {}

    def state(self, bits: int) -> Wiring:
        """What is alive if just the ``bits`` of the slots are not null."""
        known = self._states.get(bits)
        if known is None:
            if len(self._states) >= _CACHED:
                self._states.clear()
            known = self._states[bits] = self._find(bits)
        return known

    def live(self, used: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of many cells, by which slots are not null (n, slots): whether the output has an input, (n,), and which slots
        are alive, (n, slots)."""
        slots = used.shape[1]
        if slots <= _FEW:
            row = used @ (1 << np.arange(slots))
            there, alive = self._all
            return there[row], alive[row]
        packed = np.packbits(used, axis=1, bitorder="little")
        kinds: dict[bytes, int] = {}
        of_kind = [kinds.setdefault(row.tobytes(), len(kinds)) for row in packed]
        bits = [int.from_bytes(text, "little") for text in kinds]
        return tuple(each[of_kind] for each in self._of_bits(bits, slots))  # type: ignore[return-value]

    @cached_property
    def _all(self) -> tuple[np.ndarray, np.ndarray]:
        """The same of every state, by its bits."""
        slots = sum(slot >= 0 for slot in self._slots)
        return self._of_bits(range(1 << slots), slots)

    def _of_bits(self, states: Sequence[int], slots: int) -> tuple[np.ndarray, np.ndarray]:
        alive = np.array([self._live_slots(bits) for bits in states], bool).reshape(len(states), slots)
        return np.array([self.state(bits).connected for bits in states], bool), alive

    def _live_slots(self, bits: int) -> tuple[bool, ...]:
        known = self._live.get(bits)
        if known is None:
            if len(self._live) >= _CACHED:
                self._live.clear()
            edges = set(self.state(bits).edges)
            known = self._live[bits] = tuple(edge in edges for edge, slot in enumerate(self._slots) if slot >= 0)
        return known

    def _find(self, bits: int) -> Wiring:
        used = [bool(bits >> slot & 1) if slot >= 0 else slot == -1 for slot in self._slots]
        fed = set(range(self._inputs))
        for (source, target), use in zip(self._ends, used, strict=True):
            if use and source in fed:
                fed.add(target)
        output = tuple(position for position, node in enumerate(self._output) if node in fed)
        wanted = {self._output[position] for position in output}
        edges = []
        for index in reversed(range(len(used))):
            source, target = self._ends[index]
            if used[index] and source in fed and target in wanted:
                wanted.add(source)
                edges.append(index)
        nodes = tuple(sorted(node for node in wanted if node >= self._inputs))
        return Wiring(bool(output), len(output) == len(self._output), tuple(edges[::-1]), nodes, output)


_WiringKey: TypeAlias = tuple[int, tuple[tuple[int, int], ...], tuple[int, ...], tuple[int, ...]]


def wiring(cell: Cell) -> CellWiring:
    """The wiring of a cell, from a cache."""
    slots, number = [], 0
    for edge in cell.edges:
        slots.append(number if edge.editable else -2 if edge.op.is_null else -1)
        number += edge.editable
    ends = tuple((edge.source, edge.target) for edge in cell.edges)
    return _cached((cell.inputs, ends, tuple(slots), cell.output))


@lru_cache(maxsize=8192)
def _cached(key: _WiringKey) -> CellWiring:
    return CellWiring(key)
