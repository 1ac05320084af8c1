"""Tables as csv files, gzip or plain: one row a network, accuracies in percent.

The columns are those of two compact files: ``nasbench201.csv.gz`` (NATS-Bench, topology space) and
``nasbench_macro.csv.gz`` (NAS-Bench-Macro); and of ``nasbench201_latency_ms.csv.gz`` for latencies.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from nat_nasbench.spaces import MACRO, NB201, Space
from nat_nasbench.tables.base import MEAN, Query, Stamp, Table, Trained, stamp
from nat_plugin.errors import NATError
from nat_plugin.files import reader

MAX_BYTES = 64 * 2**20
MAX_LINES, MAX_LINE = 500_000, 10_000
FAILED = 0.1
"""Latencies (ms) up to here are measurements that failed."""
NUMBER = "idx"
"""The column of the official number."""


@dataclass(frozen=True)
class Columns:
    """Where accuracies stand: by seed those of single trainings to choose by, or ``MEAN`` alone; and those whose mean
    is the test accuracy."""

    validation: Mapping[int, str]
    test: tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """A kind of file: the space, the column that names the network, and columns by data set and epochs, of which the
    file may lack some."""

    space: Space
    key: str
    columns: Mapping[Query, Columns]


def _mean(short: str, epochs: int) -> Columns:
    return Columns({MEAN: f"{short}_val{epochs}"}, (f"{short}_test{epochs}",))


LAYOUTS = (
    Layout(
        NB201,
        "ops",
        {
            Query("cifar10", 200): Columns({seed: f"c10_val200_s{seed}" for seed in (1, 2, 3)}, ("c10_test200",)),
            Query("cifar10", 12): _mean("c10", 12),
            # c100_valtest200_s* are no columns to choose by: they have the test images in them.
            Query("cifar100", 200): _mean("c100", 200),
            Query("cifar100", 12): _mean("c100", 12),
            Query("imagenet16-120", 200): _mean("in16", 200),
            Query("imagenet16-120", 12): _mean("in16", 12),
        },
    ),
    Layout(
        MACRO,
        "arch",
        # Three trainings, all assessed on the test images: the first is to choose by, the others to report.
        {Query("cifar10", 50): Columns({1: "acc_s1"}, ("acc_s2", "acc_s3"))},
    ),
)


class DelimitedTable(Table):
    """All rows of a csv file."""

    def __init__(self, path: Path, dataset: str, epochs: int | None) -> None:
        """``epochs`` None: the longest training. NATError, naming file and line, for anything but such a table."""
        lines = _lines(path)
        _, header = next(lines)
        layout = next((each for each in LAYOUTS if each.key in header), None)
        if layout is None:
            known = ", ".join(f"'{each.key}' ({each.space.title})" for each in LAYOUTS)
            raise NATError(f"{path}: this is no table of a benchmark: it has none of the columns {known}")
        self.path, self.space = path, layout.space
        self.query = _chosen(path, layout, header, dataset, epochs)
        columns = layout.columns[self.query]
        self.single = MEAN not in columns.validation
        self._rows: dict[str, Trained] = {}
        self._numbers: dict[str, int] = {}
        for line, fields in lines:
            row = _row(path, line, header, fields)
            found = {seed: _share(path, line, row, name) for seed, name in columns.validation.items()}
            validation = {seed: value for seed, value in found.items() if value is not None}
            test = [_share(path, line, row, name) for name in columns.test]
            known_test = [value for value in test if value is not None]
            if not validation or len(known_test) < len(test):
                raise NATError(f"{path}, line {line}: an accuracy is missing")
            digits = row[layout.key]
            if digits in self._rows:
                raise NATError(f"{path}, line {line}: '{digits[:40]}' stands there twice")
            self._rows[digits] = Trained(validation, sum(known_test) / len(known_test))
            if NUMBER in row:
                self._numbers[digits] = _whole(path, line, row)

    def __len__(self) -> int:
        return len(self._rows)

    def find(self, digits: str) -> Trained:
        if digits not in self._rows:
            raise NATError(f"{self.path}: network '{digits}' is not in this table")
        return self._rows[digits]

    def number(self, digits: str) -> int | None:
        return self._numbers.get(digits)


def _chosen(path: Path, layout: Layout, header: list[str], dataset: str, epochs: int | None) -> Query:
    """The training that is meant. NATError lists those whose columns the file has."""
    there = [
        query
        for query, columns in layout.columns.items()
        if {*columns.test, *columns.validation.values()} <= set(header)
    ]
    fits = [query for query in there if query.dataset == dataset and epochs in (None, query.epochs)]
    if not fits:
        asked = dataset if epochs is None else f"{dataset} after {epochs} epochs"
        known = ", ".join(f"{query.dataset} after {query.epochs}" for query in there) or "none of the trainings known"
        raise NATError(f"{path}: {layout.space.title} has no {asked} here; it has {known}")
    return max(fits, key=lambda query: query.epochs)


def read_latencies(path: Path, device: str) -> Mapping[int, float]:
    """Milliseconds by the official number of a NAS-Bench-201 cell; without those whose measurement failed."""
    return _latencies(path, device, stamp(path))


@lru_cache(maxsize=8)
def _latencies(path: Path, device: str, when: Stamp) -> Mapping[int, float]:
    del when
    lines = _lines(path)
    _, header = next(lines)
    devices = [name for name in header if name != NUMBER]
    if NUMBER not in header or device not in devices:
        raise NATError(f"{path}: there is no device '{device[:40]}'; it has {', '.join(devices)[:200]}")
    found: dict[int, float] = {}
    for line, fields in lines:
        row = _row(path, line, header, fields)
        value = _number(path, line, row, device)
        if value is not None and value > FAILED:
            found[_whole(path, line, row)] = value
    return found


def _row(path: Path, line: int, header: list[str], fields: list[str]) -> dict[str, str]:
    if len(fields) != len(header):
        raise NATError(f"{path}, line {line}: {len(fields)} fields, the header has {len(header)}")
    return dict(zip(header, fields, strict=True))


def _share(path: Path, line: int, row: Mapping[str, str], column: str) -> float | None:
    value = _number(path, line, row, column)
    if value is not None and not 0 <= value <= 100:
        raise NATError(f"{path}, line {line}: {column} is {row[column][:20]}, no accuracy in percent")
    return None if value is None else value / 100


def _whole(path: Path, line: int, row: Mapping[str, str]) -> int:
    text = row[NUMBER]
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise NATError(f"{path}, line {line}: {NUMBER} is {text[:20]!r}, no whole number")
    return int(text)


def _number(path: Path, line: int, row: Mapping[str, str], column: str) -> float | None:
    text = row[column]
    try:
        value = float(text) if text else None
    except ValueError:
        raise NATError(f"{path}, line {line}: {column} is {text[:20]!r}, no number") from None
    if value is not None and not math.isfinite(value):
        raise NATError(f"{path}, line {line}: {column} is {text[:20]}, no finite number")
    return value


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and fields, the header first; one line after the other, since as lists of fields all of them would
    take fifty times the memory of their text."""
    with reader(path, MAX_BYTES, "such a table") as file:
        raw = file.rest()
    if b"\0" in raw:
        raise NATError(f"{path}: this is not a text file")
    there = False
    try:
        for number, fields in enumerate(csv.reader(_short(path, raw)), start=1):
            if fields:
                there = True
                yield number, fields
    except UnicodeDecodeError as error:
        raise NATError(f"{path}: this is not a text file") from error
    except csv.Error as error:
        raise NATError(f"{path}: {error}") from error
    if not there:
        raise NATError(f"{path}: the file is empty")


def _short(path: Path, raw: bytearray) -> Iterator[str]:
    """The lines of a text. NATError for one that is too long, and for more than a table can have."""
    text = io.TextIOWrapper(io.BytesIO(raw), encoding="utf-8", newline="")
    for number in range(1, MAX_LINES + 1):
        line = text.readline(MAX_LINE + 1)
        if len(line) > MAX_LINE:
            raise NATError(f"{path}, line {number}: longer than {MAX_LINE:,} characters, too large for such a table")
        if not line:
            return
        yield line
    raise NATError(f"{path}: more than {MAX_LINES:,} lines, too large for such a table")
