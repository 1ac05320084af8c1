"""NAS-Bench-201 as arrays, for benchmarks: every cell by its number, what it may become, what was measured of it.

The number of a cell is that of its six digits in base 5 (first edge first). Whatever is published goes through the real
adapter and rules; ``check`` holds the arrays to them.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from nat_nasbench import NB201Adapter
from nat_nasbench.forms201 import ENDS
from nat_nasbench.nb201 import OPS, spell

from benchmarks.spaces.held_out import SPLIT, held_out_by
from nat_plugin.ir import Moves, Network, NetworkSize, Rule, canonical, cost, is_connected, key
from nat_plugin.policy.training.spaces import means_of_kinds

EDGES, DIGITS = len(ENDS), len(OPS)
CELLS = DIGITS**EDGES
PLACES = DIGITS ** np.arange(EDGES - 1, -1, -1)
GROUPS = {"all": -np.inf, "≥ 90": 90.0, "≥ 93": 93.0}
"""Least CIFAR-10 test accuracy of the inputs in each group."""
DATA = {"CIFAR-10": "c10", "CIFAR-100": "c100"}


def numbers(digits: np.ndarray) -> np.ndarray:
    """Numbers of cells from their digits (..., EDGES)."""
    found: np.ndarray = digits @ PLACES
    return found


def digits_of(cells: np.ndarray) -> np.ndarray:
    """Digits (..., EDGES) of cells by number."""
    found: np.ndarray = cells[..., None] // PLACES % DIGITS
    return found


@dataclass(frozen=True)
class Space:
    """``validation`` and ``test``: accuracy after 200 epochs by data set, (CELLS,), the mean over seeds; ``early``: by
    validation after a training of 12 epochs."""

    networks: tuple[Network, ...]
    validation: dict[str, np.ndarray]
    test: dict[str, np.ndarray]
    early: dict[str, np.ndarray]

    @cached_property
    def connected(self) -> np.ndarray:
        return np.array([is_connected(network) for network in self.networks])

    @cached_property
    def held_out(self) -> np.ndarray:
        """Whether each cell is held out by the recipes that ship, (CELLS,): by what it computes."""
        return held_out_by(self.networks, SPLIT)

    @cached_property
    def written(self) -> np.ndarray:
        """By number, that of the cell without its dead operations: what a transformed cell is written as, and so the
        row of the table that stands for it. A cell that is not connected stands for itself."""
        ops = {op: digit for digit, op in enumerate(OPS.values())}
        found = np.arange(CELLS)
        for number in np.flatnonzero(self.connected):
            bare = canonical(self.networks[number])
            found[number] = numbers(np.array([ops[op] for op in bare.ops]))
        return found

    @cached_property
    def kinds(self) -> np.ndarray:
        """By number, one number for all cells that compute the same (``nat_plugin.ir.key``)."""
        names: dict[str, int] = {}
        return np.array([names.setdefault(key(network), len(names)) for network in self.networks])

    def of_kinds(self, values: np.ndarray) -> np.ndarray:
        """By number, the mean of a value over the cells that compute the same and are written without dead operations;
        so that it does not matter which of them is asked for first. Of cells that are not connected their own."""
        known, bare = np.where(self.connected, values, np.nan), self.written == np.arange(CELLS)
        found: np.ndarray = np.where(self.connected, means_of_kinds(known, self.kinds, bare, CELLS)[self.kinds], values)
        return found

    @cached_property
    def spelled(self) -> np.ndarray:
        """By kind, the number of the cell that stands for it where a graph is made of it: the first that is written
        without dead operations, or the first at all."""
        best: dict[int, int] = {}
        bare = self.written == np.arange(CELLS)
        for number in [*np.flatnonzero(bare), *np.flatnonzero(~bare)]:
            best.setdefault(int(self.kinds[number]), int(number))
        return np.array([best[kind] for kind in range(len(best))])

    @cached_property
    def macs(self) -> np.ndarray:
        """Exact MACs by number; infinite for cells that are not connected."""
        pairs = zip(self.networks, self.connected, strict=True)
        return np.array([cost(network).macs if fed else np.inf for network, fed in pairs])

    def group(self, name: str) -> np.ndarray:
        """Whether each cell is in a group."""
        return self.test["CIFAR-10"] >= GROUPS[name]


@lru_cache(maxsize=1)
def load_space(path: Path) -> Space:
    """The table ``nasbench201.csv.gz``; once for each process, since what is computed of it takes seconds."""
    adapter, size, names = NB201Adapter(), NetworkSize(), list(OPS)
    networks: dict[int, Network] = {}
    validation = {name: np.full(CELLS, np.nan) for name in DATA}
    test = {name: np.full(CELLS, np.nan) for name in DATA}
    early = {name: np.full(CELLS, np.nan) for name in DATA}
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            number = int(row["ops"], DIGITS)
            networks[number] = adapter.read(spell([names[int(digit)] for digit in row["ops"]]), size)
            seeds = [float(row[f"c10_val200_s{seed}"]) for seed in (1, 2, 3) if row[f"c10_val200_s{seed}"]]
            validation["CIFAR-10"][number] = sum(seeds) / len(seeds)
            validation["CIFAR-100"][number] = float(row["c100_val200"])
            for name, short in DATA.items():
                test[name][number] = float(row[f"{short}_test200"])
                early[name][number] = float(row[f"{short}_val12"])
    return Space(tuple(networks[number] for number in range(CELLS)), validation, test, early)


class Reach:
    """What every cell may become under a rule."""

    def __init__(self, space: Space, rule: Rule) -> None:
        self.space, self.rule = space, rule
        ops = {op: digit for digit, op in enumerate(OPS.values())}
        first = Moves(space.networks[0], rule)
        assert len(first.slots) == EDGES
        self.options = [
            [ops[op] for op in Moves(space.networks[int(digit * PLACES.sum())], rule).candidates[0]]
            for digit in range(DIGITS)
        ]
        """By digit, the digits that it may become, in the order of ``Moves``."""
        self.table = np.full((DIGITS, DIGITS), -1)
        """The same as an array, filled up with -1."""
        for digit, options in enumerate(self.options):
            self.table[digit, : len(options)] = options

    def all_of(self, cell: int) -> np.ndarray:
        """Numbers of all connected cells that one may become."""
        grid = np.zeros(1, np.int64)
        for digit in digits_of(np.array(cell)):
            grid = (grid[:, None] * DIGITS + np.array(self.options[digit])).ravel()
        found: np.ndarray = grid[self.space.connected[grid]]
        return found

    def best(self, score: np.ndarray) -> np.ndarray:
        """For every cell, the reachable connected one whose written form has the best score (CELLS,); itself if none
        is better than it."""
        value = np.where(self.space.connected, score[self.space.written], -np.inf).reshape((DIGITS,) * EDGES)
        at = np.arange(CELLS).reshape(value.shape)
        for axis in range(EDGES):
            rows, places = [], []
            for digit in range(DIGITS):
                values = np.take(value, self.options[digit], axis)
                first = np.expand_dims(values.argmax(axis), axis)
                rows.append(np.take_along_axis(values, first, axis))
                places.append(np.take_along_axis(np.take(at, self.options[digit], axis), first, axis))
            value, at = np.concatenate(rows, axis), np.concatenate(places, axis)
        best, own = at.ravel(), np.arange(CELLS)
        stays = self.space.connected & (score >= value.ravel())
        return np.where(stays, own, best)

    def gains(self, found: np.ndarray, accuracy: np.ndarray) -> np.ndarray:
        """What it gains to make ``found[cell]`` of every cell, as written; 0 where it stays."""
        own = np.arange(CELLS)
        return np.where(found == own, 0.0, accuracy[self.space.written[found]] - accuracy)

    def check(self, cells: Iterator[int] | list[int]) -> None:
        """Compare with ``Moves``, cell by cell. Raises AssertionError."""
        for cell in cells:
            moves = Moves(self.space.networks[cell], self.rule)
            assert {self.space.networks[each] for each in self.all_of(cell)} == set(map(moves.apply, moves.all()))


def fixed_rule(space: Space) -> np.ndarray:
    """On edges 0→1, 1→2, 0→3, 2→3 none and pooling become skips, on 0→2, 1→3 skips and pooling nothing; convolutions
    stay. Where that disconnects a cell, it stays as it is."""
    names = list(OPS)
    none, skip, pool = names.index("none"), names.index("skip_connect"), names.index("avg_pool_3x3")
    digits = digits_of(np.arange(CELLS))
    for edge, ends in enumerate(ENDS):
        column = digits[:, edge]
        bypass = ends in ((0, 2), (1, 3))
        changed = np.isin(column, [skip, pool] if bypass else [none, pool])
        column[changed] = none if bypass else skip
    found = numbers(digits)
    return np.where(space.connected[found], found, np.arange(CELLS))
