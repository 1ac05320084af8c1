"""Workers whose answers are files in the folder of the results, until that is done: what they found is found once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from nat_plugin.errors import NATError
from nat_plugin.execution.base import ExecutorSettings
from nat_plugin.execution.calls import ExecutorCall, Following
from nat_plugin.execution.tally import Tally
from nat_plugin.execution.workers import Workers, in_turn_here
from nat_plugin.files import file_errors, write_text
from nat_plugin.plugins import Plugins
from nat_plugin.runs.state import load_state, save_state
from nat_plugin.settings import State
from nat_plugin.sources import read_text

FOLDER, WORK = "trials", "workers.json"
_Subject = TypeVar("_Subject")


@dataclass(frozen=True)
class Found:
    """What came of a call; None where no worker could find it out, and ``why``."""

    value: State | None
    why: str | None = None


class KeptWorkers(Workers):
    """Keeps the results of workers as files until ``forget``, so that a kill loses none."""

    def __init__(self, name: str, settings: ExecutorSettings, folder: Path, plugins: Plugins, run: str) -> None:
        """``run``: whose answers these are; those of another are refused."""
        super().__init__(name, settings, folder, plugins)
        self.run = run
        self._work = WorkFile(folder)

    def in_turn(
        self, function: Callable[..., Any], given: Sequence[tuple[Any, ...]], names: Sequence[str]
    ) -> Iterator[Any]:
        """What a function returns for each of some arguments, in their order; here each when it is asked for. NATError
        where a worker was lost, once all others are done and kept by their names."""
        if self.here:
            yield from in_turn_here(function, given, names)
            return
        numbered = zip(range(len(given)), given, names, strict=True)
        calls = (ExecutorCall(number, function, each, name) for number, each, name in numbered)
        there = dict(self.answers(lambda: next(calls, None)))
        for number in range(len(given)):
            if (why := there[number].why) is not None:
                raise NATError(
                    f"part {number + 1} of {len(given)}: {why}; the others are kept, a resume tries that again"
                )
            yield there.pop(number).value

    def answers(self, following: Following[_Subject]) -> Iterator[tuple[_Subject, Found]]:
        """What comes of calls, in the order of arrival; what is kept of one that has a name comes first. What was lost
        is not kept."""
        kept: list[tuple[_Subject, Found]] = []

        def call() -> ExecutorCall[ExecutorCall[_Subject]] | None:
            while (asked := following()) is not None:
                stored = self._kept(asked.name) if asked.name else None
                if stored is None:
                    return replace(asked, subject=asked)  # type: ignore[arg-type, return-value]
                kept.append((asked.subject, stored))
            return None

        for answer in self._answers(call):
            yield from kept
            kept.clear()
            asked, result = answer.subject, Found(answer.value, answer.lost)
            if asked.name and answer.lost is None:
                self.keep(asked.name, result)
                self.write_work()
            yield asked.subject, result
        yield from kept

    def work_rows(self) -> dict[str, dict[str, float]]:
        return self._work.rows(self.tally)

    def write_work(self) -> None:
        self._work.write(self.tally)

    def _kept(self, name: str) -> Found | None:
        """What was found out by a process of this run that ended before the run did."""
        path = self._folder / FOLDER / f"{name}.safetensors"
        if not path.is_file():
            return None
        try:
            state = load_state(path)
            if state["run"] != self.run:
                raise NATError(f"{path}: this is of another run")
            found = Found(state["value"], state["why"])
        except (NATError, KeyError) as error:
            raise NATError(f"{path}: damaged or changed; remove it, and its training is done again") from error
        return found

    def keep(self, name: str, answer: Found) -> None:
        """Under the name of its call."""
        path = self._folder / FOLDER / f"{name}.safetensors"
        with file_errors(path):
            path.parent.mkdir(exist_ok=True)
        save_state(path, {"run": self.run, "value": answer.value, "why": answer.why})

    def forget(self) -> None:
        """The run has ended."""
        self.write_work()
        shutil.rmtree(self._folder / FOLDER, ignore_errors=True)


class WorkFile:
    """What each worker did, also for processes of these results that were killed: a file that may be written at any
    time, with each task once."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / WORK
        self._before = {}
        with suppress(NATError, ValueError):  # there is none, or none that matters to a result
            self._before = json.loads(read_text(self._path))

    def rows(self, tally: Tally) -> dict[str, dict[str, float]]:
        try:
            return tally.rows(self._before)
        except (TypeError, KeyError, AttributeError):
            return tally.rows({})

    def write(self, tally: Tally) -> None:
        """None where there was no worker."""
        if rows := self.rows(tally):
            write_text(self._path, json.dumps(rows, indent=1))
