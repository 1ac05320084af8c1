"""Figures of what tables of the documentation have: their cells as points with intervals, by a specification each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from benchmarks.plotting import Figure, Point, Points
from benchmarks.tables import all_tables
from nat_plugin.errors import NATError

UNITS = {"ms": 1e-3, "s": 1.0}
_NUMBER = r"[-+]?\d+(?:,\d{3})*(?:\.\d+)?"
_VALUE = re.compile(rf"({_NUMBER})(?: (ms|s)\b)?(?: ± ({_NUMBER})| \[({_NUMBER}), ({_NUMBER})\])?")


@dataclass(frozen=True)
class TableFigure:
    """``places`` by the titles of their panels. Without a title every table of a place is a panel with its own heading.

    ``rows`` and ``columns`` name what is shown of them, by what stands there (none: all). The columns are the series
    and the rows stand one under the other; with ``across`` it is the reverse. With ``x`` the rows are curves over the
    numbers in the names of the columns. ``number``: which of the values in a cell; ``labels``: how many cells name a
    row.
    """

    places: Mapping[str, str]
    label: str
    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    across: bool = False
    x: str = ""
    number: int = 0
    labels: int = 1
    powers: bool = False

    def figure(self) -> Figure:
        if self.x:
            return Figure(self.points, self.x, self.label, powers=self.powers)
        return Figure(self.points, self.label, kind="rows", powers=self.powers)

    def points(self) -> Points:
        return {
            title or heading: self._series(table, place)
            for title, place in self.places.items()
            for heading, table in tables_in(_text(place))
        }

    def _series(self, table: Sequence[Sequence[str]], place: str) -> dict[str, list[Point]]:
        head, *lines = table
        columns = self.columns or tuple(head[self.labels :])
        named = {" ".join(filter(None, line[: self.labels])): line for line in lines}
        rows = self.rows or tuple(named)
        for wanted, known in ((columns, head), (rows, named)):
            for name in wanted:
                if name not in known:
                    raise NATError(f"table '{place}' has no '{name}'; it has {', '.join(known)}")
        cells = {
            (row, column): cell
            for row in rows
            for column in columns
            for cell in [_values(named[row][head.index(column)], self.number)]
            if cell
        }
        if self.x:
            return {
                row: [[_float(re.findall(_NUMBER, of)[0]), *cells[row, of]] for of in columns if (row, of) in cells]
                for row in rows
            }
        if self.across:
            return {row: [[of, *cells[row, of]] for of in columns if (row, of) in cells] for row in rows}
        return {of: [[row, *cells[row, of]] for row in rows if (row, of) in cells] for of in columns}


def tables_in(text: str) -> Iterator[tuple[str, list[list[str]]]]:
    """Every table of a text, with what stands before it up to a colon, or in its first cell."""
    heading, lines = "", list[list[str]]()
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            lines.append([re.sub(r"\*\*|`", "", cell).strip() for cell in line.strip()[1:-1].split("|")])
        elif lines:
            yield heading or lines[0][0], [lines[0], *lines[2:]]
            heading, lines = "", []
        if line and not line.startswith("|"):
            heading = line.partition(":")[0].replace("`", "")


def _values(cell: str, number: int) -> list[float]:
    """A value, and the ends of its interval if it has one; empty where the cell has no such value."""
    found = list(_VALUE.finditer(cell))
    if number >= len(found):
        return []
    value, unit, half, low, high = found[number].groups()
    at = _float(value) * UNITS.get(unit, 1.0)
    if half:
        return [at, round(at - _float(half), 6), round(at + _float(half), 6)]
    return [at, _float(low), _float(high)] if low else [at]


def _float(text: str) -> float:
    return float(text.replace(",", ""))


def _text(place: str) -> str:
    tables = _texts()
    if place not in tables:
        raise NATError(f"there is no table '{place}'")
    return tables[place]


@cache
def _texts() -> Mapping[str, str]:
    return {name: table.text for name, table in all_tables().items()}


def _by_queries(place: str) -> TableFigure:
    return TableFigure(
        {"": place},
        "ahead of random search, points",
        rows=("nat, with the policy", "nat, from scratch", "hill_climb", "greedy"),
        x="queries",
        number=1,
        powers=True,
    )


RULES = "rules nat", "rules nat++"
TABLE_FIGURES: Mapping[str, TableFigure] = {
    "advice": TableFigure({"mobilenetv2_100, 40 moves": "timm_advice"}, "rank correlation with what is lost"),
    "budgets": TableFigure(
        {"rules nat, ≥ 90": "budgets-nat", "rules nat++, ≥ 90": "budgets-nat++"},
        "change in test accuracy, points",
        columns=("best within by validation", "policy, no query"),
        number=1,
    ),
    "critic_proxies": TableFigure(
        {"by what is left out": "critic_proxies"},
        "rank correlation",
        columns=("MACs", "evaluator proxies", "critic", "critic with proxies", "the same, not told"),
        labels=2,
    ),
    "faults": TableFigure(
        {"20 runs of each engine": "chaos"}, "processes killed", columns=("workers killed", "commands killed")
    ),
    "few_queries": _by_queries("few-queries-nat-no-limit"),
    "few_queries_budget": _by_queries("few-queries-nat-macs-0.8x"),
    "lean_networks": TableFigure(
        dict(zip(RULES, ("lean-nat-searched", "lean-nat++-searched"), strict=True)),
        "change in accuracy, points",
        rows=("best by validation", "policy, no query", "random search 30", "hill climbing 30", "greedy 30"),
        columns=("1.0x, all", "0.9x, all", "0.8x, all", "1.0x, ≥ 92", "0.9x, ≥ 92", "0.8x, ≥ 92"),
        across=True,
    ),
    "nni_models": TableFigure(
        {"": "nni-models"}, "gain in validation accuracy, points", x="models trained", powers=True
    ),
    "own_architecture": TableFigure(
        {name: f"own-{name}" for name in ("quickstart", "mobilenetv2-digits", "nni-digits")},
        "nat ahead when trained, points",
        rows=("nat without prior", "surrogate", "hill_climb", "evolution", "random"),
        columns=("nat ahead, points, 40", "nat ahead, points, 120"),
    ),
    "policies": TableFigure(
        dict(zip(RULES, ("policies-nat", "policies-nat++"), strict=True)),
        "gain in test accuracy, points",
        rows=("best by validation", "policy, no query", "fixed rule", "random search 30", "hill climbing 30"),
        columns=("CIFAR-10, ≥ 90", "CIFAR-10, ≥ 93", "CIFAR-100, ≥ 90", "CIFAR-100, ≥ 93"),
        across=True,
    ),
    "policy_learning": TableFigure(
        {"five trainings, rules nat": "policies-learning"},
        "gain in test accuracy, points",
        columns=("CIFAR-10, ≥ 90", "CIFAR-10, ≥ 93", "CIFAR-100, ≥ 90", "CIFAR-100, ≥ 93"),
    ),
    "proxies": TableFigure(
        {"mean of six inputs": "proxies-ranks"},
        "rank correlation with validation accuracy",
        rows=(
            *("params", "macs", "naswot", "swap", "expressivity", "progressivity", "trainability", "gradient_norm"),
            *("snip", "zico", "jacobian", "synflow", "default", "all", "AZ-NAS"),
        ),
        columns=("nb201 93 and more", "transnas class_object, good", "transnas autoencoder, good", "macro all"),
    ),
    "proxies_trained": TableFigure(
        {"DARTS_V2, two seeds": "proxies-trained"},
        "test accuracy of what was proposed against it, points",
        columns=("proposed against it, 95 %",),
    ),
    "shipped_policy": TableFigure(
        {"": "home-gains"}, "share of the best reachable gain, %", rows=("no query",), across=True, number=1
    ),
    "speed": TableFigure({"two cores": "speed-cpu", "H200": "speed-gpu"}, "seconds", columns=("time",), powers=True),
    "speed_search": TableFigure({"DARTS cells": "speed-search"}, "ms of a proposal", x="observations", powers=True),
    "supernet_ablations": TableFigure(
        {"mean of two supernets": "supernet-measurements"},
        "rank correlation with true accuracy",
        columns=("rank correlation, 90 to 93", "rank correlation, ≥ 93"),
    ),
    "supernet_rewards": TableFigure(
        {"held-out inputs": "supernet-gains"},
        "gain in test accuracy, points",
        rows=(
            *("best by validation", "fixed rule (made from the table)"),
            "policy on supernet rewards, then input and 3 candidates trained",
            *("with 10", "best 3 by the critic, trained", "no supernet: 3 random candidates, trained"),
            *(
                "no supernet: 3 of hill climbing by such trainings",
                "no supernet: 10 of hill climbing by such trainings",
            ),
            *("policy on supernet rewards alone", "best of all by the critic"),
            "best of the 500 measured (random search, shared evaluations)",
        ),
        columns=("≥ 90", "≥ 93"),
    ),
    "timm_coverage": TableFigure(
        {"convolutional models": "timm_coverage"}, "of 669 names", x="come down to, of the model's"
    ),
    "timm_cuts": TableFigure(
        {"one block cut": "timm_cuts"},
        "top-1, %",
        labels=2,
        columns=("importance alone: top-1, change of the logits", "what reads the cut refitted"),
    ),
    "timm_deployed": TableFigure(
        {"": "timm_deployed"}, "time of a pass, of the model's", labels=3, columns=("result, of that",)
    ),
    "timm_fits": TableFigure({"an operation in the place of one block": "timm_fits"}, "top-1, %"),
}
