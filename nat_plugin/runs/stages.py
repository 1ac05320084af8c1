"""Seconds that a run spent on each of its stages, over all its processes. No result depends on them."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path

from nat_plugin.errors import NATError
from nat_plugin.files import write_text
from nat_plugin.runs.progress import Reporter
from nat_plugin.sources import read_text

STAGES = "stages.json"


class StageTimes(Reporter):
    """Tells another reporter whatever it hears, and times the phases: ``wall`` by the clock, ``cpu`` of this process.

    ``write`` keeps what was spent by now in ``stages.json``; ``go_on`` counts on from what is there.
    """

    def __init__(self, reporter: Reporter, folder: Path, go_on: bool) -> None:
        self._reporter, self._path = reporter, folder / STAGES
        self._spent = _read(self._path) if go_on else {}
        self._stage: str | None = None
        self._since = _now()

    def phase(self, name: str, total: int, done: int = 0) -> None:
        self._count()
        self._stage = name
        self._reporter.phase(name, total, done)

    def step(self, done: int, note: str = "") -> None:
        self._reporter.step(done, note)

    def note(self, note: str) -> None:
        self._reporter.note(note)

    def write(self) -> None:
        self._count()
        write_text(self._path, json.dumps(self._spent, indent=1))

    def _count(self) -> None:
        now = _now()
        if self._stage is not None:
            spent = self._spent.setdefault(self._stage, dict.fromkeys(now, 0.0))
            for clock in now:
                spent[clock] += now[clock] - self._since[clock]
        self._since = now


def _now() -> dict[str, float]:
    return {"wall": time.monotonic(), "cpu": time.process_time()}


def _read(path: Path) -> dict[str, dict[str, float]]:
    """Nothing where there is no such file, or it was not written here."""
    with suppress(NATError, ValueError, TypeError, AttributeError):
        known = json.loads(read_text(path))
        return {stage: {clock: float(spent[clock]) for clock in _now()} for stage, spent in known.items()}
    return {}
