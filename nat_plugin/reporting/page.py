"""What a report shows, as plain data: sections of texts, tables, code, pictures. Nothing here is markup but an SVG."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

ROWS = 40
"""Of a table that is shown as a whole."""
NARROW = 4
"""Columns that a telephone has room for."""


@dataclass(frozen=True)
class TableCell:
    """A cell of a table. ``number``: what it is sorted by, and how long its bar is where the column has bars;
    ``link``: the id of what it leads to."""

    text: str
    number: float | None = None
    link: str | None = None


@dataclass(frozen=True)
class Column:
    name: str
    bars: bool = False
    code: bool = False


@dataclass(frozen=True)
class TableNetwork:
    """A network of a table. ``id``: what a link to it names; ``changes``: what the drawing of the search shows of it
    (None: it cannot)."""

    id: str
    changes: str | None


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    kind: ClassVar[str] = "text"
    text: str


@dataclass(frozen=True)
class Table:
    """``caption`` says what it is; ``cut``: what was left out of it, if anything was. ``networks``: of a table of
    networks, one for each row."""

    kind: ClassVar[str] = "table"
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[TableCell, ...], ...]
    cut: str = ""
    networks: tuple[TableNetwork, ...] = ()

    @property
    def long(self) -> bool:
        """Whether it gets a space of its own to scroll in."""
        return len(self.rows) > ROWS

    @property
    def narrow(self) -> bool:
        """Whether its cells are wrapped on a narrow screen, so that all columns are seen at once."""
        return len(self.columns) <= NARROW

    def numeric(self, column: int) -> bool:
        return any(row[column].number is not None and not row[column].link for row in self.rows)

    def share(self, column: int, value: TableCell) -> float:
        """Length of a bar, in percent of the longest."""
        longest = max((abs(row[column].number or 0.0) for row in self.rows), default=0.0)
        return 100 * abs(value.number or 0.0) / longest if longest else 0.0


@dataclass(frozen=True)
class Code:
    """Text to copy."""

    kind: ClassVar[str] = "code"
    caption: str
    text: str


@dataclass(frozen=True)
class Picture:
    """An inline SVG. ``said``: what it shows, for who cannot see it; ``links``: whether something in it can be
    followed or focused."""

    kind: ClassVar[str] = "picture"
    caption: str
    svg: str
    said: str
    links: bool = False


@dataclass(frozen=True)
class SearchDrawing:
    """The one drawing in which all networks of a search are shown in turn, and at first what ``svg`` shows."""

    kind: ClassVar[str] = "search"
    svg: str


@dataclass(frozen=True)
class Plots:
    """Pictures next to each other as far as there is space."""

    kind: ClassVar[str] = "plots"
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class SideBySide:
    """Two things side by side, one below the other on a narrow screen."""

    kind: ClassVar[str] = "pair"
    left: tuple[PagePart, ...]
    right: tuple[PagePart, ...]


@dataclass(frozen=True)
class Folded:
    """Shown on demand."""

    kind: ClassVar[str] = "folded"
    title: str
    blocks: tuple[PagePart, ...]


@dataclass(frozen=True)
class Answer:
    """A figure to see at once."""

    name: str
    value: str
    about: str = ""


@dataclass(frozen=True)
class Answers:
    kind: ClassVar[str] = "answers"
    answers: tuple[Answer, ...]


PagePart: TypeAlias = "Text | Table | Code | Picture | SearchDrawing | Plots | SideBySide | Folded | Answers"


@dataclass(frozen=True)
class Section:
    id: str
    title: str
    blocks: tuple[PagePart, ...]


@dataclass(frozen=True)
class Page:
    """``what``: a run, a comparison, …; ``lead``: the answer in a sentence or two."""

    what: str
    title: str
    lead: str
    sections: tuple[Section, ...]
    made_of: str = "the files in this folder"
    again: str = "nat report ."
    """The command that makes it again."""


def values(*texts: str | TableCell) -> tuple[TableCell, ...]:
    """A row of a table."""
    return tuple(each if isinstance(each, TableCell) else TableCell(each) for each in texts)


def plotted(pictures: Iterable[Picture]) -> tuple[PagePart, ...]:
    """As the only block of a section; no block where there is none."""
    found = tuple(pictures)
    return (Plots(found),) if found else ()


def plain_table(caption: str, names: Sequence[str], rows: Sequence[Sequence[str | TableCell]], cut: str = "") -> Table:
    return Table(caption, tuple(map(Column, names)), tuple(values(*row) for row in rows), cut)


def count(number: float) -> TableCell:
    """A whole number, with thousands apart."""
    return TableCell(f"{number:,.0f}", float(number))


def shortened(text: str, most: int) -> str:
    """Its beginning, where it is longer."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
