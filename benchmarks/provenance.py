"""Which runs the tables of a page came from: each is listed once, at the end of the page, with its command, code and
machine, and what has changed since; a line below each table says which of them are its own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.common.results import ROOT
from benchmarks.registry import EXPERIMENTS

PRINTED = "printed"
"""In an entry of results: tables as a page had them, by the names of their places. The figures behind them were not
kept."""
TODAY = "today"
"""In an entry whose ``command`` is of a script that is gone: the command that measures the same today."""
LANDED = "landed_as"
"""In an entry whose ``commit`` was rebased: the commit of this repository that has its changes."""
IN_REPOSITORY = "in_repository"
"""False in an entry whose ``commit`` is not in this repository and has no counterpart there."""
DIRTY = "-dirty"
SINCE = " Since then changed: "
"""Begins what only git knows, at the end of a line."""


@dataclass(frozen=True)
class Run:
    """``command`` is what measures the same today; ``commit`` that of this repository which has the code, if any."""

    experiment: str
    file: str
    command: str
    code: str
    machine: str
    commit: str | None
    copied: bool

    @classmethod
    def of(cls, experiment: str, file: str, entry: Mapping[str, Any]) -> Run:
        command, machine = entry.get(TODAY, entry["command"]), entry["machine"]
        return cls(experiment, file, command, _code(entry), machine, commit_of(entry), PRINTED in entry)

    def __str__(self) -> str:
        note = " Copied from what was written down then; the file of the run was not kept." if self.copied else ""
        return f"`{self.command}`, {self.code}.{note}"

    @property
    def place(self) -> str:
        return f"On {self.machine}; `{self.file}`."

    @property
    def since(self) -> str:
        """Which of what the experiment measures has commits after that of the run, where this can be looked up."""
        measured = EXPERIMENTS[self.experiment].measures if self.commit else ()
        changed = [f"`{path}`" for path in measured if _changed(str(self.commit), path)]
        return f"{SINCE}{', '.join(changed)}." if changed else ""


def commit_of(entry: Mapping[str, Any]) -> str | None:
    """The commit of this repository that has the code of an entry, as far as it was committed; none where none has."""
    return entry.get(LANDED, entry["commit"].removesuffix(DIRTY)) if entry.get(IN_REPOSITORY, True) else None


def _code(entry: Mapping[str, Any]) -> str:
    """What was run where that is another command now, on which code, and when."""
    commit = entry["commit"]
    asked = f"run as `{entry['command']}`, " if TODAY in entry else ""
    code = f"{commit.removesuffix(DIRTY)} with uncommitted changes" if commit.endswith(DIRTY) else commit
    place = f", landed as {entry[LANDED]}" if LANDED in entry else ""
    absent = "" if entry.get(IN_REPOSITORY, True) else " (not in this repository)"
    return f"{asked}commit {code}{place}{absent}, {entry['date']}"


def _changed(commit: str, path: str) -> bool:
    """True where it cannot be told."""
    words = ["git", "log", "-1", "--oneline", f"{commit}..HEAD", "--", path]
    told = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT)
    return told.returncode != 0 or bool(told.stdout.strip())


def referred(runs: Iterable[Run], listed: Sequence[Run]) -> str:
    """The line below a table: which of the runs that its page lists it came from."""
    numbers = [str(listed.index(run) + 1) for run in runs]
    named = numbers[0] if len(numbers) == 1 else f"{', '.join(numbers[:-1])} and {numbers[-1]}"
    return f"[Run{'s' if len(numbers) > 1 else ''} {named}](#runs)"


def list_of(runs: Sequence[Run], since: bool) -> str:
    """What all have in common stands before them."""
    places = dict.fromkeys(run.place for run in runs)
    common = next(iter(places)) if len(places) == 1 else ""
    lines = [
        f"{number}. {run}{'' if common else f' {run.place}'}{run.since if since else ''}"
        for number, run in enumerate(runs, start=1)
    ]
    return "\n".join([*([common, ""] if common else []), *lines])
