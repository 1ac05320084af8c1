"""Limits on NAS-Bench-201 for benchmarks: on parameters or MACs, and on the latency that was measured on a device."""

from __future__ import annotations

import csv
import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from nat_nasbench.nb201 import OPS

from benchmarks.spaces.nb201 import CELLS, Reach, Space, numbers
from nat_plugin.evaluators.table import read_latencies
from nat_plugin.ir import Budget, Network, cost
from nat_plugin.ir.budget import METRICS

_DIGITS = {op: digit for digit, op in enumerate(OPS.values())}


def number_of(network: Network) -> int:
    return int(numbers(np.array([_DIGITS[op] for op in network.ops])))


@dataclass(frozen=True)
class Cost:
    """A limited metric: its budget, which has one relative limit, and its value for every cell as written (CELLS,);
    infinite where not known."""

    name: str
    budget: Budget
    values: np.ndarray

    def most(self, cells: np.ndarray) -> np.ndarray:
        """What each of these cells may cost."""
        [limit] = self.budget.limits
        found: np.ndarray = float(limit.value) * self.values[cells]
        return found

    def within(self, reach: Reach, cell: int) -> np.ndarray:
        """All that a cell may become within its budget, by the tables."""
        every = reach.all_of(cell)
        found: np.ndarray = every[self.values[every] <= self.most(np.array(cell))]
        return found

    def best(self, reach: Reach, cells: np.ndarray, score: np.ndarray) -> np.ndarray:
        """For each of these cells the best within its budget by a score of cells as written."""
        within = [self.within(reach, int(cell)) for cell in cells]
        return np.array([int(each[score[reach.space.written[each]].argmax()]) for each in within])


def by_cost(space: Space, metric: str, share: str) -> Cost:
    """A limit on ``macs`` or ``params`` that is a multiple of what the input has."""
    exact = [
        getattr(cost(network), metric) if fed else np.inf
        for network, fed in zip(space.networks, space.connected, strict=True)
    ]
    return Cost(f"{metric} ≤ {share}", Budget.parse({metric: share}), np.array(exact, float))


def devices(latency: Path) -> list[str]:
    with gzip.open(latency, "rt", encoding="utf-8", newline="") as file:
        return [name for name in next(csv.reader(file)) if name != "idx"]


def by_latency(space: Space, table: Path, latency: Path, device: str, share: str) -> Cost:
    """A limit on the latency of a device, from ``nasbench201.csv.gz`` and ``nasbench201_latency_ms.csv.gz``."""
    with gzip.open(table, "rt", encoding="utf-8", newline="") as file:
        official = {int(row["ops"], len(OPS)): int(row["idx"]) for row in csv.DictReader(file)}
    known = read_latencies(latency, device)
    by_row = np.array([known.get(official[cell], np.inf) for cell in range(CELLS)])
    values = by_row[space.written]

    def measured(network: Network) -> float:
        return float(values[number_of(network)])

    return Cost(f"{device} ≤ {share}", Budget.parse({"latency": share}, {**METRICS, "latency": measured}), values)
