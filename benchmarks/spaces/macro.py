"""NAS-Bench-Macro as arrays, for benchmarks: every network by its number, what it may become, what was measured of it.

The number of a network is that of its eight digits in base 3 (first layer first). What is published goes through the
real adapter, rules and budgets; ``check`` holds the arrays to them.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from nat_nasbench import NASBenchMacroAdapter
from nat_nasbench.macro import DIGITS, LAYERS, digits_of

from nat_plugin.errors import NATError
from nat_plugin.ir import Budget, Moves, Network, NetworkSize, Rule, cost, key

NETWORKS = len(DIGITS) ** LAYERS
PLACES = len(DIGITS) ** np.arange(LAYERS - 1, -1, -1)
SPLIT = 6561
"""Seed of the split, the same for every training."""
BUDGETS = ("1.0x", "0.9x", "0.8x")
"""Limits on the MACs."""


def number_of(network: Network) -> int:
    return int(digits_of(network), len(DIGITS))


@dataclass(frozen=True)
class MacroSpace:
    """``runs``: accuracy of the three trainings, in percent, (3, NETWORKS). The first is to choose and to learn by, the
    other two are to report."""

    networks: tuple[Network, ...]
    runs: np.ndarray

    @cached_property
    def validation(self) -> np.ndarray:
        """(NETWORKS,)"""
        first: np.ndarray = self.runs[0]
        return first

    @cached_property
    def test(self) -> np.ndarray:
        """(NETWORKS,)"""
        mean: np.ndarray = self.runs[1:].mean(axis=0)
        return mean

    @cached_property
    def macs(self) -> np.ndarray:
        return np.array([cost(network).macs for network in self.networks])

    @cached_property
    def kinds(self) -> np.ndarray:
        """By number, one number for all networks that compute the same (``nat_plugin.ir.key``)."""
        names: dict[str, int] = {}
        return np.array([names.setdefault(key(network), len(names)) for network in self.networks])

    @cached_property
    def held(self) -> np.ndarray:
        """Whether each network is held out of training: a fifth of those that compute different things, so that nothing
        in training computes the same as anything held out."""
        kinds = int(self.kinds.max()) + 1
        drawn = np.random.default_rng(SPLIT).permutation(kinds)[: kinds // 5]
        found: np.ndarray = np.isin(self.kinds, drawn)
        return found


def load_space(path: Path) -> MacroSpace:
    """The table ``nasbench_macro.csv.gz``."""
    adapter, size = NASBenchMacroAdapter(), NetworkSize()
    networks: dict[int, Network] = {}
    runs = np.full((3, NETWORKS), np.nan)
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            number = int(row["arch"], len(DIGITS))
            networks[number] = adapter.read(row["arch"], size)
            runs[:, number] = [float(row[f"acc_s{run}"]) for run in (1, 2, 3)]
    return MacroSpace(tuple(networks[number] for number in range(NETWORKS)), runs)


class Reach:
    """What every network may become under a rule."""

    def __init__(self, space: MacroSpace, rule: Rule) -> None:
        self.space, self.rule = space, rule
        self.table = np.full((len(DIGITS), len(DIGITS)), -1)
        """By digit, the digits that it may become, in the order of ``Moves``; filled up with -1."""
        for digit in range(len(DIGITS)):
            candidates = Moves(space.networks[int(digit * PLACES.sum())], rule).candidates
            assert len(set(candidates)) == 1
            ops = [space.networks[int(other * PLACES.sum())].ops[0] for other in range(len(DIGITS))]
            self.table[digit, : len(candidates[0])] = [ops.index(op) for op in candidates[0]]

    def options(self, number: int) -> np.ndarray:
        """(LAYERS, 3)"""
        return self.table[number // PLACES % len(DIGITS)]

    def within(self, number: int, budget: Budget) -> np.ndarray:
        """Numbers of all networks that one may become within a limit on MACs."""
        grid = np.zeros(1, np.int64)
        for row in self.options(number):
            grid = (grid[:, None] * len(DIGITS) + row[row >= 0]).ravel()
        limits = budget.resolve(self.space.networks[number]).values
        most = min((float(limit) for _, limit in limits), default=np.inf)
        found: np.ndarray = grid[self.space.macs[grid] <= most]
        return found

    def check(self, numbers: Iterable[int], budget: Budget) -> None:
        """Compare with ``Moves``, one by one. Raises AssertionError."""
        for number in numbers:
            network = self.space.networks[number]
            try:
                moves = Moves(network, self.rule, budget.resolve(network))
                found = {number_of(moves.apply(choice)) for choice in moves.all()}
            except NATError:
                found = set()
            assert found == set(self.within(number, budget).tolist())
