"""A table of trained networks, read: what was measured of each network, and which rows were left out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np

from nat_plugin.adapter import Adapter
from nat_plugin.errors import NATError
from nat_plugin.evaluators.table.choosing import choose
from nat_plugin.evaluators.table.layout import Results, Unit
from nat_plugin.evaluators.table.reading import LeftOut, Rows, Values, header_of, rows_of
from nat_plugin.evaluators.table.rows import no_number
from nat_plugin.evaluators.table.settings import CSV, TableSettings
from nat_plugin.ir import Network, NetworkSize
from nat_plugin.plugins import plugins
from nat_plugin.sources import find_adapter

_T = TypeVar("_T")


@dataclass(frozen=True, eq=False)
class MeasuredTable:
    """Networks and what was measured of each, in the order of the rows.

    ``metrics``: every column of numbers by its name, as it stands there, NaN where a field is empty; ``results``: which
    of them choose and which are reported, and of what task; ``texts``: the architectures as the ``adapter`` read them;
    ``complete``: whether every network of its space is there; ``rewires``: whether that is every wiring of a cell.
    """

    title: str
    path: Path
    networks: tuple[Network, ...]
    texts: tuple[str, ...]
    adapter: Adapter
    lines: tuple[int, ...]
    metrics: Mapping[str, Values]
    results: Results
    unit: Unit
    network_size: NetworkSize
    left_out: tuple[LeftOut, ...]
    complete: bool
    rewires: bool

    def __len__(self) -> int:
        return len(self.networks)

    @property
    def name(self) -> str:
        """Of the task."""
        return f"{self.title}, {self.results}"

    @cached_property
    def trainings(self) -> Mapping[int, Values]:
        """Scores to choose by, higher is better, accuracies as shares of 1, by the seed of the training (or ``MEAN``
        alone). NaN where a network has no training with that seed."""
        return {seed: self._scores(column) for seed, column in self.results.validation.items()}

    @cached_property
    def scores(self) -> Values:
        """The mean of ``trainings`` for every network."""
        found: Values = np.nanmean(list(self.trainings.values()), axis=0)
        return found

    @cached_property
    def test(self) -> Values:
        """Scores to report for every network, on the same scale."""
        found: Values = np.mean([self._scores(column) for column in self.results.test], axis=0)
        return found

    def _scores(self, column: str) -> Values:
        sign = -1.0 if self.results.lower_is_better else 1.0
        return sign * self.metrics[column] / (100.0 if self.unit == "percent" else 1.0)


def read_table(settings: TableSettings) -> MeasuredTable:
    """The table that the settings name, of a csv file. NATError, naming file and line, for whatever is wrong in it; the
    architectures are parsed once for all settings that differ in what is asked of them."""
    if settings.format != CSV:
        raise NATError(f"{settings.path}: only csv files are read as a whole, not format '{settings.format}'")
    chosen = choose(settings, header_of(settings.path), plugins())
    rows, results = rows_of(settings, chosen), chosen.results
    wrong = _faults(rows, results)
    missing = _missing(rows, results, wrong)
    unusable = sorted([*wrong.values(), *missing.values()], key=lambda each: each.line)
    if unusable and settings.unusable == "refuse":
        raise NATError(f"{settings.path}, line {unusable[0].line}: {unusable[0].why}")
    left_out = (*rows.left_out, *unusable)
    kept = np.setdiff1d(np.delete(rows.of, list(wrong)), list(missing)).tolist()
    if not kept:
        why = f"; line {left_out[0].line}: {left_out[0].why}" if left_out else ""
        raise NATError(f"{settings.path}: it has no row that can be used{why}")
    told = {*chosen.columns, *chosen.where}
    numeric = [name for name, faults in rows.faults.items() if name not in told and faults.keys() <= wrong.keys()]
    metrics = {name: rows.mean(name, wrong)[kept] for name in dict.fromkeys((*results.columns, *numeric))}
    metrics = {name: each for name, each in metrics.items() if name in results.columns or not np.isnan(each).all()}
    unit = results.unit or _unit({column: metrics[column] for column in results.columns}, settings)
    table = MeasuredTable(
        title=chosen.title,
        path=settings.path,
        networks=_kept(rows.networks, kept),
        texts=_kept(rows.texts, kept),
        adapter=find_adapter(chosen.adapter, plugins()),
        lines=_kept(rows.lines, kept),
        metrics=metrics,
        results=replace(results, unit=unit, images=results.images if _is_accuracy(results, unit) else (0, 0)),
        unit=unit,
        network_size=rows.network_size,
        left_out=tuple(sorted(left_out, key=lambda each: each.line)),
        complete=len(kept) == chosen.size,
        rewires=chosen.rewires,
    )
    _check_range(table)
    return table


def _faults(rows: Rows, results: Results) -> dict[int, LeftOut]:
    """By row that cannot be used, as something else than a number stands in it, where that is and what."""
    found: dict[int, LeftOut] = {}
    for column in dict.fromkeys(results.columns):
        for row, text in rows.faults[column].items():
            found.setdefault(row, LeftOut(rows.row_lines[row], f"{column} is {no_number(text)}"))
    return found


def _missing(rows: Rows, results: Results, wrong: Collection[int]) -> dict[int, LeftOut]:
    """By network with rows beside the ``wrong`` ones, but no result in them, its first line and what is missing."""
    means = {column: rows.mean(column, wrong) for column in results.columns}
    none = np.isnan([means[column] for column in results.validation.values()]).all(axis=0)
    missing = [(next(iter(results.validation.values())), none)]
    missing += [(column, np.isnan(means[column])) for column in results.test]
    found: dict[int, LeftOut] = {}
    for column, where in missing:
        for number in np.intersect1d(np.flatnonzero(where), np.delete(rows.of, list(wrong))).tolist():
            found.setdefault(number, LeftOut(rows.lines[number], f"{column} is missing"))
    return found


def _is_accuracy(results: Results, unit: Unit) -> bool:
    """Whether a score is a share of images that are right."""
    return unit != "number" and not results.lower_is_better


def _unit(values: Mapping[str, Values], settings: TableSettings) -> Unit:
    """As the values of all columns look. NATError where some are shares and others percent."""
    least, most = ({name: float(of(each)) for name, each in values.items()} for of in (np.nanmin, np.nanmax))
    if settings.lower_is_better or min(least.values()) < 0 or max(most.values()) > 100:
        return "number"
    share, percent = (next((name for name in most if (most[name] <= 1) is small), None) for small in (True, False))
    if share is not None and percent is not None:
        raise NATError(
            f"{settings.path}: {share} is at most {most[share]:g}, {percent} up to {most[percent]:g}: both have to be "
            "in one unit; if they are, say which: unit: percent, share or number"
        )
    return "percent" if share is None else "share"


def _check_range(table: MeasuredTable) -> None:
    """NATError for an accuracy that cannot be."""
    most = {"percent": 100.0, "share": 1.0, "number": np.inf}[table.unit]
    for column in table.results.columns if table.unit != "number" else ():
        values = table.metrics[column]
        wrong = np.flatnonzero((values < 0) | (values > most))
        if len(wrong):
            line, value = table.lines[wrong[0]], values[wrong[0]]
            what = "accuracy in percent" if table.unit == "percent" else "share of 1"
            raise NATError(f"{table.path}, line {line}: {column} is {value:g}, no {what}")


def _kept(values: Sequence[_T], rows: list[int]) -> tuple[_T, ...]:
    return tuple([values[row] for row in rows])
