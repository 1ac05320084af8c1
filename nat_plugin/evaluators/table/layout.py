"""What a table of a known benchmark looks like, as data: which columns mark it, how they give the text that an adapter
reads, and where the results of which task stand. A plugin registers layouts with ``register_table_layouts``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from nat_plugin.ir import NetworkSize

MEAN = 0
"""The "seed" under which a result stands that is the mean over trainings, or of which no seed is known."""

Unit: TypeAlias = Literal["percent", "share", "number"]
"""Of a metric: an accuracy from 0 to 100, one from 0 to 1, or any other number."""


@dataclass(frozen=True)
class Results:
    """Where the results of one task after one kind of training stand.

    ``validation``: the columns to choose by, of single trainings by their seeds, or ``MEAN`` alone; ``test``: the
    columns whose mean is reported; ``images``: how many chose and how many tested (0: not known); ``network_size``: at
    which the networks were trained, for their costs; ``unit`` None: as the values look; ``measured``: what the
    values are, for a report.
    """

    dataset: str
    epochs: int | None
    validation: Mapping[int, str]
    test: tuple[str, ...]
    images: tuple[int, int] = (0, 0)
    network_size: NetworkSize = field(default_factory=NetworkSize)
    unit: Unit | None = "percent"
    measured: str = "accuracy"
    lower_is_better: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        return (*self.validation.values(), *self.test)

    @property
    def single(self) -> bool:
        """Whether results of single trainings are known."""
        return MEAN not in self.validation

    def __str__(self) -> str:
        return self.dataset if self.epochs is None else f"{self.dataset} after {self.epochs} epochs"


@dataclass(frozen=True, eq=False)
class TableLayout:
    """A kind of table.

    ``columns`` mark it: a file that has them all is read by it, of several layouts by the one with the most. ``text``
    makes of a row's fields the text that ``adapter`` reads; ValueError or LookupError where they are in another coding.
    ``where``: the rows that it is about, by the values of columns. ``size``: how many networks the whole benchmark has,
    if it has every network of its space. ``duplicates``: whether one may stand in two rows. ``rewires``: whether the
    benchmark has every wiring of its cells.
    """

    name: str
    title: str
    adapter: str
    columns: tuple[str, ...]
    text: Callable[[Mapping[str, str]], str]
    results: tuple[Results, ...]
    where: Mapping[str, str] = field(default_factory=dict)
    size: int | None = None
    duplicates: Literal["refuse", "mean"] = "refuse"
    rewires: bool = False

    def fits(self, header: Iterable[str]) -> bool:
        return {*self.columns, *self.where} <= set(header)
