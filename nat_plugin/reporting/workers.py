"""What workers and devices did, as reports show it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import Field

from nat_plugin.errors import NATError
from nat_plugin.execution.tally import device_of
from nat_plugin.reporting.page import PagePart, plain_table, shortened
from nat_plugin.reporting.reading import LARGEST, Read, checked, read_json
from nat_plugin.runs.worker_files import WORK

MOST = 64
"""Rows of the table of them."""
COLUMNS = ("tasks", "failed tries", "seconds at work", "busy")


class WorkDoneView(Read):
    """By a worker."""

    tasks: int = Field(ge=0, le=LARGEST)
    seconds: float = Field(ge=0)
    there: float = Field(default=0, ge=0)
    failed: int = Field(default=0, ge=0, le=LARGEST)


def read_workers(folder: Path) -> Mapping[str, WorkDoneView]:
    """What each did, where there were any."""
    path = folder / WORK
    found = read_json(path) if path.is_file() else {}
    if not isinstance(found, dict):
        raise NATError(f"{path}: no run wrote this; put it back as it was written, or remove it")
    return {name: checked(WorkDoneView, each, str(path)) for name, each in found.items()}


def workers_blocks(workers: Mapping[str, WorkDoneView], file: str = WORK) -> Iterator[PagePart]:
    """By device and by worker; nothing where there were none. ``file``: that has all of them."""
    if not workers:
        return
    devices: dict[str, list[WorkDoneView]] = {}
    for name, each in workers.items():
        devices.setdefault(device_of(name) or name, []).append(each)
    rows = [(shortened(name, 100), f"{len(every):,}", *_cells(every)) for name, every in devices.items()]
    more = f"{len(rows) - MOST:,} more are in {file}." if len(rows) > MOST else ""
    yield plain_table("What each device did", ("device", "workers", *COLUMNS), rows[:MOST], more)
    did = [(shortened(name, 100), *_cells([each])) for name, each in workers.items()]
    left = f"{len(did) - MOST:,} more are in {file}." if len(did) > MOST else ""
    yield plain_table("What each worker did", ("worker", *COLUMNS), did[:MOST], left)


def _cells(every: list[WorkDoneView]) -> tuple[str, ...]:
    """``busy``: of the time from the first task to the last."""
    tasks, failed = sum(each.tasks for each in every), sum(each.failed for each in every)
    seconds, there = sum(each.seconds for each in every), sum(each.there for each in every)
    busy = f"{min(seconds / there, 1.0):.0%}" if there else ""
    return f"{tasks:,}", f"{failed:,}", f"{seconds:,.1f}", busy
