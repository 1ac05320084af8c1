"""The rows of a table whose architectures can be read, whatever is asked of them: read once for all who ask."""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from nat_plugin.adapter import Adapter
from nat_plugin.errors import NATError
from nat_plugin.evaluators.table.choosing import Chosen
from nat_plugin.evaluators.table.rows import Stamp, number, read_rows, stamp
from nat_plugin.evaluators.table.settings import NetworkSizeSettings, TableSettings
from nat_plugin.evaluators.table.spelling import spelled
from nat_plugin.ir import Network, NetworkSize
from nat_plugin.plugins import plugins
from nat_plugin.sources import find_adapter

Values: TypeAlias = NDArray[np.float64]
MAX_SHOWN = 40
"""Characters of a field that is no number, for an error."""


@dataclass(frozen=True)
class LeftOut:
    """A row of which no use is made, and why."""

    line: int
    why: str


@dataclass(frozen=True, eq=False)
class Rows:
    """``lines``: of each network the first that is of it. By row, of which a network may have several: ``of``, its
    network by index, and ``row_lines``; ``columns``: by name what stands in the rows, NaN where there is no number;
    ``faults``: of each column the rows in which something stands that is no number, and what."""

    networks: tuple[Network, ...]
    texts: tuple[str, ...]
    lines: tuple[int, ...]
    of: NDArray[np.int64]
    row_lines: tuple[int, ...]
    columns: Mapping[str, Values]
    faults: Mapping[str, Mapping[int, str]]
    network_size: NetworkSize
    left_out: tuple[LeftOut, ...]

    def mean(self, column: str, without: Collection[int] = ()) -> Values:
        """By network, over its rows that have a value, but for some rows."""
        values = self.columns[column]
        if len(self.networks) == len(values) and not without:
            return values
        known = ~np.isnan(values)
        known[list(without)] = False
        count = np.bincount(self.of[known], minlength=len(self.networks)).astype(float)
        count[count == 0] = math.nan
        total = np.bincount(self.of[known], values[known], minlength=len(self.networks)).astype(float)
        mean: Values = total / count
        return mean


def header_of(path: Path) -> tuple[str, ...]:
    return _header(path, stamp(path))


@lru_cache(maxsize=8)
def _header(path: Path, when: Stamp) -> tuple[str, ...]:
    del when
    _, header = next(read_rows(path))
    return tuple(header)


def rows_of(settings: TableSettings, chosen: Chosen) -> Rows:
    """NATError, naming the line, for an architecture that cannot be read or is listed twice, unless the settings
    allow that."""
    wanted = (settings.path, stamp(settings.path), chosen.key, tuple(sorted(chosen.where.items())), chosen.network_size)
    return _remembered(_Way(wanted, settings.network_size, chosen.duplicates, settings.unusable, chosen))


@dataclass(frozen=True)
class _Way:
    """How rows are read; equal where the same comes of it. ``wanted`` begins with the path."""

    wanted: tuple[object, ...]
    network_size: NetworkSizeSettings
    duplicates: str
    unusable: str
    chosen: Chosen

    def __hash__(self) -> int:
        return hash(self.wanted)

    def __eq__(self, other: object) -> bool:
        own = (self.wanted, self.network_size, self.duplicates, self.unusable)
        return isinstance(other, _Way) and own == (other.wanted, other.network_size, other.duplicates, other.unusable)


@lru_cache(maxsize=4)
def _remembered(way: _Way) -> Rows:
    path = way.wanted[0]
    assert isinstance(path, Path)
    return _read(path, way)


def _read(path: Path, way: _Way) -> Rows:
    lines = read_rows(path)
    _, header = next(lines)
    reader, found = _RowReader(way), _Found(header)
    left_out: list[LeftOut] = []
    seen: dict[Hashable, int] = {}
    for line, fields in lines:
        row = dict(zip(header, fields, strict=True))
        other = [name for name, value in way.chosen.where.items() if row[name].strip() != value]
        if other:
            left_out.append(LeftOut(line, f"{other[0]} is {row[other[0]][:40]!r}"))
            continue
        try:
            text, network = reader.read(row)
        except NATError as error:
            if way.unusable == "refuse":
                raise NATError(f"{path}, line {line}: {error}") from None
            left_out.append(LeftOut(line, str(error)))
            continue
        name = spelled(network)
        known = seen.setdefault(name, len(found.networks))
        if known < len(found.networks) and way.duplicates == "refuse":
            raise NATError(
                f"{path}, line {line}: this architecture is also in line {found.lines[known]} (duplicates: mean "
                "takes the mean of both)"
            )
        found.add(known, line, fields, text, network)
    return found.rows(reader.network_size, tuple(left_out))


class _RowReader:
    """Reads the architectures of a table one by one."""

    def __init__(self, way: _Way) -> None:
        self._text, self._title = way.chosen.text, way.chosen.title
        self._columns = ", ".join(way.chosen.columns)
        self._adapter: Adapter = find_adapter(way.chosen.adapter, plugins())
        self._settings = way.network_size
        self._known = way.chosen.network_size
        self.network_size = NetworkSize()

    def read(self, row: Mapping[str, str]) -> tuple[str, Network]:
        """NATError that says what is wrong with the architecture."""
        try:
            text = self._text(row)
        except (ValueError, LookupError):
            raise NATError(f"{self._columns}: not an architecture in the encoding of {self._title}") from None
        try:
            if self._known is None:
                self._known = self._adapter.natural_size(text)
            self.network_size = _filled(self._known, self._settings)
            return text, self._adapter.read(text, self.network_size)
        except NATError as error:
            raise NATError(f"{self._columns}: adapter '{self._adapter.name}' cannot read it: {error}") from None


class _Found:
    """The rows so far."""

    def __init__(self, header: Sequence[str]) -> None:
        self._header = header
        self._values: list[list[float]] = [[] for _ in header]
        self._faults: list[dict[int, str]] = [{} for _ in header]
        self._of: list[int] = []
        self._row_lines: list[int] = []
        self.networks: list[Network] = []
        self.texts: list[str] = []
        self.lines: list[int] = []

    def add(self, index: int, line: int, fields: Sequence[str], text: str, network: Network) -> None:
        """A row of the network of that index, which is the first of it if there is none so far."""
        if index == len(self.networks):
            self.networks.append(network)
            self.texts.append(text)
            self.lines.append(line)
        for values, faults, field in zip(self._values, self._faults, fields, strict=True):
            try:
                value = number(field)
            except ValueError:
                faults[len(self._of)] = field[:MAX_SHOWN]
                value = None
            values.append(math.nan if value is None else value)
        self._of.append(index)
        self._row_lines.append(line)

    def rows(self, network_size: NetworkSize, left_out: tuple[LeftOut, ...]) -> Rows:
        return Rows(
            tuple(self.networks),
            tuple(self.texts),
            tuple(self.lines),
            np.array(self._of, np.int64),
            tuple(self._row_lines),
            {name: np.array(values, float) for name, values in zip(self._header, self._values, strict=True)},
            dict(zip(self._header, self._faults, strict=True)),
            network_size,
            left_out,
        )


def _filled(known: NetworkSize, settings: NetworkSizeSettings) -> NetworkSize:
    given = {name: value for name, value in settings.model_dump().items() if value is not None}
    return replace(known, **given)
