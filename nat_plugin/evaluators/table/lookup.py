"""A table as it is asked: by network, for what is known of its trainings."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TypeAlias

import numpy as np

from nat_plugin.errors import NATError
from nat_plugin.evaluators.table.layout import Results, Unit
from nat_plugin.evaluators.table.measured import MeasuredTable, read_table
from nat_plugin.evaluators.table.rows import Stamp, stamp
from nat_plugin.evaluators.table.settings import CSV, TableSettings
from nat_plugin.evaluators.table.spelling import rewritten, spelled, surroundings
from nat_plugin.ir import Network, NetworkSize, key
from nat_plugin.plugins import plugins

NUMBER = "idx"
"""The column of a network's number, by which a file of latencies names it."""


@dataclass(frozen=True)
class Trained:
    """What is known of a network, higher is better, accuracies as shares of 1: what to choose by, of each training by
    its seed (or ``MEAN`` alone); and what to report, the mean over trainings."""

    validation: Mapping[int, float]
    test: float

    @property
    def mean(self) -> float:
        return sum(self.validation.values()) / len(self.validation)


class LookupTable(ABC):
    """The networks of a table after one kind of training on one task."""

    title: str
    results: Results
    unit: Unit = "percent"
    network_size: NetworkSize
    rewires: bool = False
    """Whether it has every wiring of its cells."""
    complete: bool = False
    """Whether it has every network that moves can reach."""
    has_latency: bool = False
    numbered: bool = False
    """Whether it knows the numbers by which other tables name its networks."""

    @property
    def name(self) -> str:
        """Of the task."""
        return f"{self.title}, {self.results}"

    @abstractmethod
    def find(self, network: Network) -> Trained | None:
        """None for a network that is not in the table."""

    @abstractmethod
    def check(self, network: Network) -> None:
        """NATError for a network that cannot be in the table, whatever its ops: of another size or another space."""

    def number(self, network: Network) -> int | None:
        """The number of a network by which other tables name it; None where it is not known."""
        del network
        return None

    def latency(self, network: Network) -> float:
        """Milliseconds; infinite where it is not known."""
        del network
        return math.inf

    def like(self, network: Network) -> list[Network]:
        """Those of a table that is not ``complete`` which differ from a network in nothing but ops."""
        del network
        return []


TableReader: TypeAlias = Callable[[TableSettings], LookupTable]
"""Opens a file of another kind than csv. NATError says in one line what is missing."""


def open_table(settings: TableSettings) -> LookupTable:
    """NATError says in one line what is wrong with the file, or missing in it. Opened once for all who ask the same."""
    return _opened(settings.model_dump_json(exclude={"seed", "latency", "device"}), stamp(settings.path))


@lru_cache(maxsize=8)
def _opened(asked: str, when: Stamp) -> LookupTable:
    del when
    settings = TableSettings.model_validate_json(asked)
    if settings.format == CSV:
        return CsvTable(read_table(settings))
    return plugins().table_formats[settings.format](settings)


class CsvTable(LookupTable):
    """A network is found as it is spelled; where no row has that, by what it computes, the mean of such rows."""

    def __init__(self, measured: MeasuredTable) -> None:
        self.measured = measured
        self.title, self.results, self.unit = measured.title, measured.results, measured.unit
        self.network_size, self.rewires, self.complete = measured.network_size, measured.rewires, measured.complete
        self.numbered = NUMBER in measured.metrics
        self._rows: dict[Hashable, int] = {spelled(each): row for row, each in enumerate(measured.networks)}

    def find(self, network: Network) -> Trained | None:
        rows = self._find(network)
        if not rows:
            return None
        known = {seed: values[rows] for seed, values in self.measured.trainings.items()}
        means = {seed: float(np.nanmean(v)) for seed, v in known.items() if not np.isnan(v).all()}
        return Trained(means, float(self.measured.test[rows].mean()))

    def check(self, network: Network) -> None:
        if surroundings(network) in self._surroundings:
            return
        wanted = surroundings(self.measured.networks[0])
        names = ("input", "stem", "placements", "head")
        other = next(name for name, own, its in zip(names, surroundings(network), wanted, strict=True) if own != its)
        if network.by_name.keys() != self.measured.networks[0].by_name.keys():
            raise NATError(f"{self.measured.path}: the table is of {self.title}, this network is from another space")
        raise NATError(
            f"the networks of {self.title} were trained in one size only, and this one has another {other}: leave "
            "'network' (channels, cells) out, or say in evaluator.network_size what the table was trained in"
        )

    def number(self, network: Network) -> int | None:
        rows = self._find(network) if self.numbered else []
        numbers = {self.measured.metrics[NUMBER][row] for row in rows}
        return int(numbers.pop()) if len(numbers) == 1 and not np.isnan(sum(numbers)) else None

    def like(self, network: Network) -> list[Network]:
        return (
            [] if self.complete else [found for each in self.measured.networks if (found := rewritten(network, each))]
        )

    def _find(self, network: Network) -> list[int]:
        row = self._rows.get(spelled(network))
        if row is not None:
            return [row]
        return [] if self.complete else self._by_key.get(key(network), [])

    @cached_property
    def _by_key(self) -> Mapping[str, list[int]]:
        found: dict[str, list[int]] = {}
        for row, network in enumerate(self.measured.networks):
            found.setdefault(key(network), []).append(row)
        return found

    @cached_property
    def _surroundings(self) -> set[tuple[Hashable, ...]]:
        return {surroundings(each) for each in self.measured.networks}
