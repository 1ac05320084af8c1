"""Seconds of each stage of a run, as its report shows them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import Field

from nat_plugin.reporting.page import Column, PagePart, Table, TableCell, shortened
from nat_plugin.reporting.reading import LARGEST, Read, checked, read_json
from nat_plugin.runs.stages import STAGES

MOST = 32
"""Rows of the table of them."""


class StageView(Read):
    """``wall``: by the clock; ``cpu``: of the process of the run, without its workers."""

    wall: float = Field(ge=0, le=LARGEST)
    cpu: float = Field(ge=0, le=LARGEST)


def read_stages(folder: Path) -> Mapping[str, StageView]:
    """By name; nothing of a run of a version that did not time them."""
    path = folder / STAGES
    found = read_json(path) if path.is_file() else {}
    return {name: checked(StageView, each, str(path)) for name, each in found.items()}


def stages_blocks(stages: Mapping[str, StageView]) -> Iterator[PagePart]:
    if stages:
        columns = (Column("stage"), Column("seconds", bars=True), Column("CPU seconds", bars=True))
        rows = tuple(
            (TableCell(shortened(name, 60)), _seconds(each.wall), _seconds(each.cpu))
            for name, each in list(stages.items())[:MOST]
        )
        yield Table("Time of each stage; CPU seconds are without those of workers", columns, rows)


def _seconds(value: float) -> TableCell:
    return TableCell(f"{value:,.1f}", value)
