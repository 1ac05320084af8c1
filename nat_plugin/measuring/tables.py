"""Tables of costs by slot and op: a file that is measured once, reused, and carried to another machine; latencies of
`nat measure`, or energy or memory as the user measures it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from nat_plugin.errors import NATError
from nat_plugin.files import read_text, write_text
from nat_plugin.ir import NULL, Moves, Network, Op, Slot, to_json
from nat_plugin.ir.budget import METRICS, Additive, Limits
from nat_plugin.ir.canonical import live_ops
from nat_plugin.ir.rules import Rule
from nat_plugin.json_values import check_plain
from nat_plugin.settings import StrictDocument

FORMAT, VERSION = "nat-costs", 1
MAX_BYTES = 16 * 2**20
_LARGEST = 1e15

_Text = Annotated[str, Field(max_length=1000)]
_Name = Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]
_Number = Annotated[float, Field(ge=-_LARGEST, le=_LARGEST)]
_Figure = _Number | Annotated[list[_Number], Field(min_length=3, max_length=3)] | None


class _Of(StrictDocument):
    fingerprint: _Text | None = None
    name: _Text = ""
    adapter: _Text = ""
    input: Annotated[list[int], Field(min_length=3, max_length=3)] | None = None
    classes: int | None = None


class _Slot(StrictDocument):
    cell: _Text
    edge: Annotated[int, Field(ge=0, le=10**6)]
    key: _Text = ""
    costs: Annotated[dict[_Text, _Figure], Field(max_length=10_000)]


class _CostsDocument(StrictDocument):
    format: Literal["nat-costs"]
    version: int
    metric: _Name
    unit: _Text
    of: _Of = _Of()
    fixed: _Figure
    slots: Annotated[list[_Slot], Field(max_length=20_000)]
    measured: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True)
class Figure:
    """A cost with its 95 % interval, where that is known."""

    value: float
    low: float | None = None
    high: float | None = None

    def plain(self) -> float | list[float]:
        if self.low is None or self.high is None:
            return self.value
        return [_short(each) for each in (self.value, self.low, self.high)]


@dataclass(frozen=True)
class TableSubject:
    """What a table is of: the fingerprint of the network and its slots (None: a user's table that says none), and how
    to name it."""

    fingerprint: str | None
    name: str = ""
    adapter: str = ""
    input: tuple[int, ...] = ()
    classes: int = 0


@dataclass(frozen=True)
class CostTable:
    """A network costs ``fixed`` and the sum of what its live ops cost in their slots; null and what is dead cost
    nothing. ``measured``: the setting, the device, versions: what a reader of the file wants to know."""

    metric: str
    unit: str
    of: TableSubject
    fixed: Figure
    costs: Mapping[Slot, Mapping[Op, Figure]]
    keys: Mapping[Slot, str]
    measured: Mapping[str, Any]

    def render(self) -> str:
        """As JSON, a line for each slot."""
        of = {name: value for name, value in vars(self.of).items() if value}
        head = {"format": FORMAT, "version": VERSION, "metric": self.metric, "unit": self.unit, "of": of}
        head |= {"measured": dict(self.measured), "fixed": _rendered(self.fixed)}
        lines = [
            json.dumps(
                {
                    "cell": slot.cell,
                    "edge": slot.index,
                    "key": self.keys.get(slot, ""),
                    "costs": {str(op): _rendered(each) for op, each in costs.items()},
                }
            )
            for slot, costs in self.costs.items()
        ]
        slots = ",\n  ".join(lines)
        return f'{json.dumps(head)[:-1]}, "slots": [\n  {slots}\n]}}\n'

    def write(self, path: Path) -> None:
        write_text(path, self.render())


def _rendered(figure: Figure) -> float | list[float] | None:
    return None if math.isnan(figure.value) else figure.plain()


def _short(value: float) -> float:
    """Six digits say more than any clock."""
    return float(f"{value:.6g}")


class TableMetric(Additive):
    """A table as a metric of budgets, for networks of its own slots."""

    def __init__(self, table: CostTable, path: Path | str) -> None:
        self.table, self.path = table, path
        self._values = {slot: {op: each.value for op, each in costs.items()} for slot, costs in table.costs.items()}

    @property
    def fixed(self) -> float:
        return self.table.fixed.value

    def of(self, slot: Slot, op: Op) -> float:
        if op.is_null:
            return 0.0
        try:
            return self._values[slot][op]
        except KeyError:
            raise NATError(
                f"{self.path}: there is no {self.table.metric} of '{str(op)[:60]}' in slot {slot.index} of cell "
                f"'{slot.cell[:60]}'; measure this network anew"
            ) from None

    def by_cell(self, network: Network) -> dict[str, Any]:
        """What the live ops of each cell take and what is ``fixed``, ready for JSON: where a network's costs lie."""
        cells = dict.fromkeys((name for name, _ in network.cells), 0.0)
        for slot, op in live_ops(network):
            cells[slot.cell] += self.of(slot, op)
        return {"unit": self.table.unit, "fixed": self.fixed, "cells": cells}

    def check(self, network: Network, rule: Rule, identity: str = "") -> None:
        """NATError if the table is not of this network, or lacks anything that it may become."""
        of, own = self.table.of, fingerprint(network, identity)
        if of.fingerprint is not None and of.fingerprint != own:
            what = f"'{of.name[:60]}'" if of.name else "another network"
            size = f" for images of {tuple(of.input)} in {of.classes} classes" if of.input else ""
            raise NATError(
                f"{self.path}: this table is of {what}{size}, not of this network at this size; measure this one: "
                "`nat measure`"
            )
        anything = Moves(network, rule, Limits(held_elsewhere=True))
        for slot, options in zip(network.slots, anything.candidates, strict=True):
            for op in options:
                self.of(slot, op)


def read_table(path: Path, metric: str | None = None) -> CostTable:
    """A table from its file. NATError of one line for anything else, and for one of another ``metric``."""
    text = read_text(path, MAX_BYTES, "a table of costs")
    try:
        value = json.loads(text)
        check_plain(value, "it")
        document = _CostsDocument.model_validate(value)
    except (NATError, ValueError, RecursionError) as error:
        raise NATError(f"{path}: this is not a table of costs: {_reason(error)}") from None
    if document.version != VERSION:
        raise NATError(f"{path}: version {document.version} of a table of costs; this package reads {VERSION}")
    if document.metric in METRICS:
        raise NATError(f"{path}: {document.metric} are counted, not looked up; choose another name for the metric")
    if metric is not None and document.metric != metric:
        raise NATError(f"{path}: this table is of '{document.metric}', not of '{metric}'")
    costs: dict[Slot, dict[Op, Figure]] = {}
    for number, each in enumerate(document.slots):
        slot = Slot(each.cell, each.edge)
        where = f"{path}: slots[{number}]"
        if slot in costs:
            raise NATError(f"{where}: this slot is duplicated")
        costs[slot] = _costs(each.costs, where)
    keys = {Slot(each.cell, each.edge): each.key for each in document.slots}
    of = document.of
    subject = TableSubject(of.fingerprint, of.name, of.adapter, tuple(of.input or ()), of.classes or 0)
    fixed = _figure(document.fixed, f"{path}: fixed")
    return CostTable(document.metric, document.unit, subject, fixed, costs, keys, document.measured)


def _costs(given: Mapping[str, Any], where: str) -> dict[Op, Figure]:
    found: dict[Op, Figure] = {}
    for text, value in given.items():
        try:
            op = Op.parse(text)
        except NATError as error:
            raise NATError(f"{where}: {error}") from None
        found[op] = _figure(value, f"{where}: '{text[:60]}'")
        if op.is_null and found[op].value:
            raise NATError(f"{where}: null costs nothing; add what stays to `fixed`")
    return found


def _figure(value: Any, where: str) -> Figure:
    if value is None:
        raise NATError(f"{where}: no cost is filled in")
    if not isinstance(value, list):
        return Figure(float(value))
    if not value[1] <= value[0] <= value[2]:
        raise NATError(f"{where}: expected [cost, low, high] with the cost between low and high, not {value!r:.60}")
    return Figure(*map(float, value))


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))[:80]}: {first['msg']}"
    return " ".join(str(error).split())[:200]


def table_metrics(paths: Mapping[str, Path]) -> dict[str, TableMetric]:
    """Tables by the metrics that they are of."""
    return {name: TableMetric(read_table(path, name), path) for name, path in paths.items()}


def blank_table(network: Network, metric: str, unit: str, of: TableSubject) -> CostTable:
    """A table in which every cost has still to be filled in: one of a user's own metric."""
    nothing = Figure(math.nan)
    costs = {slot: dict.fromkeys(ops_of(network, slot), nothing) for slot in network.slots}
    return CostTable(metric, unit, of, nothing, costs, keys_of(network), {})


def ops_of(network: Network, slot: Slot) -> list[Op]:
    """What may stand in a slot, but null."""
    edge = network.edge(slot)
    return [op for op in dict.fromkeys((edge.op, *edge.choices)) if not op.is_null]


def keys_of(network: Network) -> dict[Slot, str]:
    return {slot: network.edge(slot).key for slot in network.slots}


@lru_cache(maxsize=64)
def fingerprint(network: Network, identity: str = "") -> str:
    """One text for all networks with the same slots at the same size, whatever ops are in these. ``identity``: what an
    adapter knows of it beside that."""
    cells = []
    for name, cell in network.cells:
        edges = [
            replace(edge, op=choices[0], choices=choices)
            if (choices := tuple(sorted((op for op in edge.choices if op != NULL), key=str)))
            else edge
            for edge in cell.edges
        ]
        cells.append((name, replace(cell, edges=tuple(edges))))
    text = to_json(replace(network.with_cells(cells), origin=None), None)
    return sha256(f"{identity}\n{text}".encode()).hexdigest()[:32]
