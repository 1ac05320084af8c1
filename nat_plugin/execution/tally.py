"""What each worker did: tasks, failures, how long it was at work."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from nat_plugin.execution.calls import CallAnswer

UNKNOWN = "workers that died"
"""What is not known by name: a worker that was killed could not say it."""


@dataclass
class WorkDone:
    """``seconds``: at work; ``there``: from the beginning of the first task to the end of the last; ``failed``: tries
    that came to nothing."""

    tasks: int = 0
    seconds: float = 0.0
    there: float = 0.0
    failed: int = 0

    def add(self, other: WorkDone) -> None:
        self.tasks, self.failed = self.tasks + other.tasks, self.failed + other.failed
        self.seconds, self.there = self.seconds + other.seconds, self.there + other.there


class Tally:
    """By worker, of all answers to a command."""

    def __init__(self) -> None:
        self._done: dict[str, WorkDone] = defaultdict(WorkDone)
        self._first: dict[str, float] = {}
        self._lost = 0
        self.others: Mapping[str, WorkDone] = {}
        """What processes did that are no workers, as the devices of a run."""

    def add(self, answer: CallAnswer[Any]) -> None:
        for worker in answer.failed:
            self._done[worker or UNKNOWN].failed += 1
        self._lost += answer.lost is not None
        if answer.worker:
            done = self._done[answer.worker]
            done.tasks, done.seconds = done.tasks + 1, done.seconds + answer.seconds
            first = self._first.setdefault(answer.worker, answer.began)
            done.there = max(done.there, answer.began + answer.seconds - first)

    def __str__(self) -> str:
        """A line for the display."""
        known = {name: each for name, each in self._done.items() if name != UNKNOWN}
        done, there = (sum(getattr(each, name) for each in known.values()) for name in ("tasks", "there"))
        busy = sum(each.seconds for each in known.values()) / there if there else 1.0
        machines = {machine_of(name) for name in known}
        where = f" on {len(machines):,} machines" if len(machines) > 1 else ""
        lost = f", {self._lost:,} lost" if self._lost else ""
        return f"{len(known):,} workers{where}, {min(busy, 1.0):.0%} busy: {done:,} tasks done{lost}"

    def rows(self, before: Mapping[str, Any]) -> dict[str, dict[str, float]]:
        """Plain values, added to those of a process that was killed. KeyError, TypeError or AttributeError for what is
        none."""
        rows: dict[str, WorkDone] = defaultdict(WorkDone)
        for name, each in before.items():
            rows[name].add(WorkDone(**{what: each[what] for what in ("tasks", "seconds", "there", "failed")}))
        for name, done in (*self._done.items(), *self.others.items()):
            rows[name].add(done)
        return {
            name: {**asdict(each), "seconds": round(each.seconds, 1), "there": round(each.there, 1)}
            for name, each in rows.items()
        }


def machine_of(worker: str) -> str:
    return worker.rpartition(" on GPU ")[0].rpartition(":")[0] if " on GPU " in worker else worker.rpartition(":")[0]


def device_of(worker: str) -> str:
    """What it computed on: its machine, and its GPU if it had one."""
    gpu = worker.partition(" on GPU ")[2]
    return machine_of(worker) + (f", GPU {gpu}" if gpu else "")
