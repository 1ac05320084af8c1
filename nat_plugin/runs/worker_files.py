"""Workers whose answers are files in the folder of the results, until that is done: what they found is found once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from nat_plugin.errors import NATError
from nat_plugin.execution.base import ExecutorSettings
from nat_plugin.execution.calls import ExecutorCall, Following
from nat_plugin.execution.tally import Tally
from nat_plugin.execution.workers import Workers
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
    """What was dear to find out is a file until ``forget``: it is not done again after a kill."""

    def __init__(self, name: str, settings: ExecutorSettings, folder: Path, plugins: Plugins, run: str) -> None:
        """``run``: whose answers these are; those of another are refused."""
        super().__init__(name, settings, folder, plugins)
        self._run = run

    def answers(self, following: Following[_Subject]) -> Iterator[tuple[_Subject, Found]]:
        """What comes of calls, in the order of arrival; what is kept of one that has a name comes first. What was lost
        is not kept."""
        known: list[tuple[_Subject, Found]] = []

        def call() -> ExecutorCall[ExecutorCall[_Subject]] | None:
            while (each := following()) is not None:
                found = self._kept(each.name) if each.name else None
                if found is None:
                    return replace(each, subject=each)  # type: ignore[arg-type, return-value]
                known.append((each.subject, found))
            return None

        for answer in self._answers(call):
            yield from known
            known.clear()
            each, found = answer.subject, Found(answer.value, answer.lost)
            if each.name and answer.lost is None:
                self.keep(each.name, found)
            yield each.subject, found
        yield from known

    def work_rows(self) -> dict[str, dict[str, float]]:
        return work_rows(self.tally, self._folder)

    def write_work(self) -> None:
        write_work(self.tally, self._folder)

    def _kept(self, name: str) -> Found | None:
        """What was found out by a process of this run that ended before the run did."""
        path = self._folder / FOLDER / f"{name}.safetensors"
        if not path.is_file():
            return None
        try:
            state = load_state(path)
            if state["run"] != self._run:
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
        save_state(path, {"run": self._run, "value": answer.value, "why": answer.why})

    def forget(self) -> None:
        """The run has ended."""
        self.write_work()
        shutil.rmtree(self._folder / FOLDER, ignore_errors=True)


def work_rows(tally: Tally, folder: Path) -> dict[str, dict[str, float]]:
    """What each worker did, also for a process of these results that was killed."""
    before = {}
    with suppress(NATError, ValueError):  # it is of no result
        before = json.loads(read_text(folder / WORK))
    try:
        return tally.rows(before)
    except (TypeError, KeyError, AttributeError):
        return tally.rows({})


def write_work(tally: Tally, folder: Path) -> None:
    """The same as a file; none where there was no worker."""
    if rows := work_rows(tally, folder):
        write_text(folder / WORK, json.dumps(rows, indent=1))
