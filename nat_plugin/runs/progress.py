"""Progress of a run: a bar on a terminal, plain lines in a log."""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

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


def epoch_note(figures: Mapping[str, float]) -> str:
    """What ``Trainer.epoch`` reports, in a few words."""
    return f"epoch {figures['epoch']:.0f}: loss {figures['loss']:.3f}, accuracy {figures['accuracy']:.1%} in training"


class Silent(Reporter):
    def phase(self, name: str, total: int, done: int = 0) -> None: ...

    def step(self, done: int, note: str = "") -> None: ...


class Lines(Reporter):
    """A plain line at the start of a phase, at its end, and every few seconds between."""

    def __init__(self, every: float = 10.0) -> None:
        self._every, self._name, self._total, self._last = every, "", 0, 0.0

    def phase(self, name: str, total: int, done: int = 0) -> None:
        self._name, self._total = name, total
        self._say(done, "")

    def step(self, done: int, note: str = "") -> None:
        if done >= self._total or time.monotonic() - self._last >= self._every:
            self._say(done, note)

    def _say(self, done: int, note: str) -> None:
        self._last = time.monotonic()
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
