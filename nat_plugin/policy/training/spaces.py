"""What a training knows of networks: spaces of those that differ in ops only, each network a row of small numbers, and
one number, its kind, for all that compute the same.

What is derived of a network (its key, exact costs, which slots are alive) is derived once, by the IR itself; what a
choice leads to is then looked up for thousands at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from nat_plugin.ir import Moves, Network, Op, canonical, cost, is_connected, key
from nat_plugin.ir.canonical import cell_key
from nat_plugin.ir.edge_costs import edge_costs
from nat_plugin.ir.wiring import wiring

NONE = -1
"""In the place of a kind: the output does not depend on the input, or a cell lost what the cells after it need."""
PARAMS, MACS = 0, 1
"""Columns of ``SlotSpace.costs``."""


def means_of_kinds(values: np.ndarray, kinds: np.ndarray, bare: np.ndarray, count: int) -> np.ndarray:
    """What networks of each kind are worth, (``count``,): the mean of the values (n,) of those that are ``bare`` (n,),
    written without dead operations, of all where none is; NaN where no value is known (finite)."""
    found = np.full(count, np.nan)
    there = np.isfinite(values) & (kinds != NONE)
    for part in (there, there & bare):
        number = np.bincount(kinds[part], minlength=count)
        total = np.bincount(kinds[part], values[part], count)
        found[number > 0] = total[number > 0] / number[number > 0]
    return found


class Kinds:
    """Networks without dead operations, one of each kind, by a number in the order in which they were met."""

    def __init__(self) -> None:
        self.networks: list[Network] = []
        self._numbers: dict[str, int] = {}
        self._names: list[str] = []

    def __len__(self) -> int:
        return len(self.networks)

    def number(self, network: Network) -> int:
        """Of a network that is connected."""
        name = key(network)
        found = self._numbers.get(name)
        if found is None:
            found = self._numbers[name] = len(self.networks)
            self.networks.append(canonical(network))
            self._names.append(name)
        return found

    def name(self, number: int) -> str:
        return self._names[number]

    def forget(self, count: int) -> None:
        """All but the first ``count``."""
        for name in self._names[count:]:
            del self._numbers[name]
        del self.networks[count:], self._names[count:]


class SlotSpace:
    """Networks that differ in the ops of their slots only. A row stands for one: ``codes`` (n, S), its op in each slot
    by a number within the slot."""

    def __init__(self, network: Network, kinds: Kinds) -> None:
        self.network, self._kinds = network, kinds
        self._ops: list[list[Op]] = [[] for _ in network.slots]
        self._numbers: list[dict[Op, int]] = [{} for _ in network.slots]
        self._rows: dict[bytes, int] = {}
        self._parts = _parts(network)
        slots = len(network.slots)
        self._codes, self._live = np.zeros((16, slots), np.int16), np.zeros((16, slots), bool)
        self._kind, self._costs = np.zeros(16, np.int64), np.zeros((16, 2), np.int64)
        self.forgotten = 0
        """How often rows were forgotten: what is known by row from before does not hold then."""

    def __len__(self) -> int:
        return len(self._rows)

    def encode(self, slot: int, ops: Iterable[Op]) -> np.ndarray:
        """Ops of a slot by their numbers."""
        known, found = self._numbers[slot], []
        for op in ops:
            if op not in known:
                known[op] = len(known)
                self._ops[slot].append(op)
            found.append(known[op])
        return np.array(found, np.int16)

    def row(self, network: Network) -> int:
        codes = [self.encode(slot, (op,)) for slot, op in enumerate(network.ops)]
        return int(self.rows(np.concatenate(codes)[None] if codes else np.zeros((1, 0), np.int16))[0])

    def kind(self, network: Network) -> int:
        row = self.row(network)
        return int(self.kinds[row])

    def rows(self, codes: np.ndarray) -> np.ndarray:
        """The rows (n,) of networks by the codes of their ops (n, S) int16."""
        codes = np.ascontiguousarray(codes)
        width, whole = codes.shape[1] * codes.itemsize, codes.tobytes()
        found = []
        for number in range(len(codes)):
            name = whole[number * width : (number + 1) * width]
            row = self._rows.get(name)
            if row is None:
                row = self._add(codes[number])
                self._rows[name] = row
            found.append(row)
        return np.array(found, np.int64)

    @property
    def codes(self) -> np.ndarray:
        """(rows, S)"""
        return self._codes[: len(self)]

    @property
    def kinds(self) -> np.ndarray:
        """(rows,); ``NONE`` for what no move may end in."""
        return self._kind[: len(self)]

    @property
    def costs(self) -> np.ndarray:
        """Parameters and MACs, exactly, (rows, 2); 0 where the kind is ``NONE``."""
        return self._costs[: len(self)]

    @property
    def live(self) -> np.ndarray:
        """Whether the op of each slot takes part in the output, (rows, S)."""
        return self._live[: len(self)]

    def ops(self, slot: int) -> Sequence[Op]:
        """All ops met in a slot, by their numbers."""
        return self._ops[slot]

    def forget(self, count: int) -> None:
        """All rows but the first ``count``."""
        for codes in self._codes[count : len(self)].copy():
            del self._rows[codes.tobytes()]
        self.forgotten += 1

    def _add(self, codes: np.ndarray) -> int:
        row = len(self)
        if row == len(self._kind):
            for name in ("_codes", "_live", "_kind", "_costs"):
                array = getattr(self, name)
                setattr(self, name, np.concatenate([array, np.zeros_like(array)]))
        network = self.network.with_ops([self._ops[slot][code] for slot, code in enumerate(codes.tolist())])
        self._codes[row], (self._live[row], whole) = codes, self._alive(network)
        self._kind[row], self._costs[row] = NONE, 0
        if whole:
            total = cost(network)
            self._kind[row], self._costs[row] = self._kinds.number(network), (total.params, total.macs)
        return row

    def _alive(self, network: Network) -> tuple[np.ndarray, bool]:
        """Which slots are alive, and whether moves may end in the network; as ``Moves`` has it."""
        live, whole, ops = np.zeros(len(network.slots), bool), True, network.ops
        for name, first, slots, keep in self._parts:
            cell = network.by_name[name]
            bits = sum((not ops[first + number].is_null) << number for number in range(len(slots)))
            state = wiring(cell).state(bits)
            whole &= state.whole if keep else state.connected
            edges = set(state.edges)
            live[first : first + len(slots)] = [edge in edges for edge in slots]
        return live, whole


def _parts(network: Network) -> list[tuple[str, int, list[int], bool]]:
    """Every placed cell: its name, its first slot, the indices of its edges that are slots, and whether it has to keep
    its width."""
    table, placed = edge_costs(network), {placement.cell for placement in network.placements}
    found, first = [], 0
    for name, cell in network.cells:
        if name in placed:
            slots = [index for index, edge in enumerate(cell.edges) if edge.editable]
            found.append((name, first, slots, table.keeps_width(name)))
            first += len(slots)
    return found


@dataclass(frozen=True)
class WorldMark:
    """How much of a world there was at some time."""

    kinds: int
    rows: tuple[int, ...]


class World:
    """All spaces of a training, and the kinds that they share."""

    def __init__(self) -> None:
        self.kinds = Kinds()
        self.spaces: list[SlotSpace] = []
        self._spaces: dict[Network, SlotSpace] = {}

    def space(self, network: Network) -> SlotSpace:
        """Of a network; networks that differ in the ops of their slots have the same."""
        bare = network.with_ops([network.edge(slot).choices[0] for slot in network.slots])
        found = self._spaces.get(bare)
        if found is None:
            found = self._spaces[bare] = SlotSpace(network, self.kinds)
            self.spaces.append(found)
        return found

    @property
    def mark(self) -> WorldMark:
        return WorldMark(len(self.kinds), tuple(map(len, self.spaces)))

    def forget(self, mark: WorldMark) -> None:
        """What was met since then, so that what follows does not depend on it."""
        if len(self.kinds) > mark.kinds:
            for space, rows in zip(self.spaces, mark.rows, strict=True):
                space.forget(rows)
            self.kinds.forget(mark.kinds)


@dataclass(frozen=True, eq=False)
class Reach:
    """What a network may become, as codes of its space: ``options`` (S, C), the candidates of every slot in the order
    of ``Moves``, ``NONE`` where there are no more; ``sizes`` (S,)."""

    space: SlotSpace
    options: np.ndarray
    sizes: np.ndarray

    @staticmethod
    def of(space: SlotSpace, moves: Moves) -> Reach:
        sizes = np.array([len(options) for options in moves.candidates], np.int64)
        options = np.full((len(sizes), int(sizes.max(initial=1))), NONE, np.int16)
        for slot, ops in enumerate(moves.candidates):
            options[slot, : len(ops)] = space.encode(slot, ops)
        return Reach(space, options, sizes)

    @property
    def count(self) -> int:
        """How many combinations there are."""
        return int(np.prod(self.sizes.astype(object))) if len(self.sizes) else 1

    def all(self) -> np.ndarray:
        """Every choice, (count, S)."""
        every: np.ndarray = np.indices(tuple(self.sizes.tolist())).reshape(len(self.sizes), -1).T
        return every

    def leads_to(self, codes: np.ndarray) -> np.ndarray:
        """Whether some choice leads to each network of the space, by its codes (n, S); limits are not asked."""
        found: np.ndarray = (codes[:, :, None] == self.options[None]).any(axis=2).all(axis=1)
        return found

    def rows(self, choices: np.ndarray) -> np.ndarray:
        """The rows of the space (n,) that choices (n, S) lead to."""
        return self.space.rows(self.options[np.arange(len(self.sizes)), choices])


def split_place(network: Network, seed: int) -> float:
    """Where from 0 to 1 a network stands in the split of a seed: the same for all whose cells compute the same,
    whatever the number of classes or the table. What is below the share that is held out is."""
    if not is_connected(network):
        return place(seed, *map(str, network.ops))
    cells = {placement.cell for placement in network.placements}
    parts = sorted(cell_key(cell, 0) for name, cell in network.cells if name in cells)
    return place(seed, *parts)


def place(seed: int, *parts: str) -> float:
    """A number from 0 to 1 that is drawn by the seed and the parts alone."""
    digest = blake2b(repr((seed, *parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") / 2**64
