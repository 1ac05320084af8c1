"""Progress of a run: a bar on a terminal, plain lines in a log."""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn


class Reporter(ABC):
    """Hears what a run is doing. All of it goes to standard error."""

    @abstractmethod
    def phase(self, name: str, total: int, done: int = 0) -> None:
        """A phase of ``total`` steps begins, ``done`` of them earlier."""

    @abstractmethod
    def step(self, done: int, note: str = "") -> None:
        """``done`` steps of the phase are behind us."""

    def note(self, note: str) -> None:  # noqa: B027 - not every reporter tells what goes on within a step
        """What is going on within the step at hand."""


class Silent(Reporter):
    """Says nothing."""

    def phase(self, name: str, total: int, done: int = 0) -> None: ...

    def step(self, done: int, note: str = "") -> None: ...


class Lines(Reporter):
    """A plain line at the start of a phase, at its end, and every few seconds between."""

    def __init__(self, every: float = 10.0) -> None:
        self._every, self._name, self._total, self._done, self._last = every, "", 0, 0, 0.0

    def phase(self, name: str, total: int, done: int = 0) -> None:
        self._name, self._total = name, total
        self._say(done, "")

    def step(self, done: int, note: str = "") -> None:
        self._done = done
        if done >= self._total or self._due():
            self._say(done, note)

    def note(self, note: str) -> None:
        if self._due():
            self._say(self._done, note)

    def _due(self) -> bool:
        return time.monotonic() - self._last >= self._every

    def _say(self, done: int, note: str) -> None:
        self._done = done
        self._last = time.monotonic()
        with suppress(OSError):  # where what is said goes is full, or gone; that ends no run
            print(f"{self._name} {done}/{self._total} {note}".rstrip(), file=sys.stderr, flush=True)


class Bar(Reporter):
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None

    def phase(self, name: str, total: int, done: int = 0) -> None:
        self._task = self._progress.add_task(name, total=total, completed=done, note="")

    def step(self, done: int, note: str = "") -> None:
        if self._task is not None:
            self._progress.update(self._task, completed=done, note=note)

    def note(self, note: str) -> None:
        if self._task is not None:
            self._progress.update(self._task, note=note)


@contextmanager
def reporter(quiet: bool = False) -> Iterator[Reporter]:
    """A bar where standard error is a terminal, else lines."""
    console = Console(stderr=True)
    if quiet:
        yield Silent()
    elif console.is_terminal:
        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )  # fmt: skip
        with Progress(*columns, console=console) as progress:
            yield Bar(progress)
    else:
        yield Lines()
