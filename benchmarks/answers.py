"""Questions and answers of README.md and docs/evidence/index.md, their figures read off the tables of the pages."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from nat_plugin.errors import NATError

NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?(?:e-?\d+)?")
Texts: TypeAlias = Mapping[str, str]
"""Markdown by the name of its place."""


@dataclass(frozen=True)
class At:
    """Figures of a table: ``number`` is which of those in a cell, ``block`` which of several tables of one place.

    ``row`` has what the rows begin with, without what stands there in brackets, in each cell one of several; none for
    any.
    """

    place: str
    row: tuple[str | Collection[str], ...]
    column: str
    number: int = 0
    block: int = 0
    of: Callable[[list[float]], float] | None = None
    """What is made of several; without it there has to be one."""

    def read(self, texts: Texts) -> float:
        found = self.cells(texts)
        if self.of is not None and found:
            return self.of([cell[self.number] for cell in found])
        if len(found) != 1:
            raise NATError(
                f"table '{self.place}' has {len(found)} such figures in '{self.column}' of {self.row}, not one"
            )
        return found[0][self.number]

    def cells(self, texts: Texts) -> list[list[float]]:
        """The figures of every cell that has enough of them."""
        blocks = re.findall(r"(?:^\|.*$\n?)+", texts.get(self.place, ""), re.MULTILINE)
        if not self.block < len(blocks):
            raise NATError(f"there is no table {self.block} at '{self.place}'")
        head, _, *rows = [_cells(line) for line in blocks[self.block].splitlines()]
        if self.column not in head:
            raise NATError(f"table '{self.place}' has no column '{self.column}'; it has {', '.join(head)}")
        cells = [NUMBER.findall(row[head.index(self.column)]) for row in rows if self._wanted(row)]
        return [
            [float(number.rstrip(",").replace(",", "")) for number in cell] for cell in cells if self.number < len(cell)
        ]

    def _wanted(self, row: list[str]) -> bool:
        pairs = [(wanted, re.sub(r" \(.*\)$", "", cell)) for wanted, cell in zip(self.row, row, strict=False)]
        return all(
            not wanted or cell == wanted or (not isinstance(wanted, str) and cell in wanted) for wanted, cell in pairs
        )


@dataclass(frozen=True)
class Beside:
    """Another figure of the cell that ``of`` is in: an end of its interval."""

    of: At
    number: int

    def read(self, texts: Texts) -> float:
        value = self.of.read(texts)
        cells = [cell for cell in self.of.cells(texts) if cell[self.of.number] == value and self.number < len(cell)]
        if not cells:
            raise NATError(f"table '{self.of.place}' has no figure {self.number} beside {value:g}")
        return cells[0][self.number]


@dataclass(frozen=True)
class Said:
    """A figure of the text of a place, by a regular expression with one group."""

    place: str
    pattern: str

    def read(self, texts: Texts) -> float:
        found = re.search(self.pattern, texts.get(self.place, ""), re.MULTILINE)
        if found is None:
            raise NATError(f"'{self.pattern}' is not said by table '{self.place}'")
        return float(found[1].replace(",", ""))


@dataclass(frozen=True)
class Percent:
    """One figure in percent of another."""

    part: At
    whole: At

    def read(self, texts: Texts) -> float:
        return 100 * self.part.read(texts) / self.whole.read(texts)


@dataclass(frozen=True)
class Total:
    parts: Sequence[At]

    def read(self, texts: Texts) -> float:
        return sum(part.read(texts) for part in self.parts)


Figure: TypeAlias = At | Beside | Said | Percent | Total


@dataclass(frozen=True)
class Answer:
    """``says`` has the names of ``figures`` in braces; ``pages`` by what their links are called."""

    question: str
    says: str
    pages: Mapping[str, str]
    figures: Mapping[str, Figure] = field(default_factory=dict)

    def row(self, texts: Texts, folder: str) -> str:
        known = {name: figure.read(texts) for name, figure in self.figures.items()}
        links = ", ".join(f"[{label}]({folder}{page}.md)" for label, page in self.pages.items())
        return f"| {self.question} | {self.says.format(**known)} | {links} |"


def table(answers: Sequence[Answer], texts: Texts, folder: str = "") -> str:
    """``folder``: of the pages, from where the table stands."""
    return "\n".join(["| question | answer | page |", "|---|---|---|", *(each.row(texts, folder) for each in answers)])


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip()[1:-1].split("|")]
