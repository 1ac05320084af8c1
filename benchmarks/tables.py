"""Tables of the documentation, made of the results that are kept.

A page has places: ``<!-- table NAME -->`` and ``<!-- end -->``. What stands between them is the table of that name, and
a line that says what it came from, and which code that it measures has changed since.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.common.results import ROOT, place_of, read_results
from benchmarks.questions import answers
from benchmarks.registry import EXPERIMENTS, Experiment
from nat_plugin.errors import NATError

DOCS = ROOT / "docs"
NOTHING = "Not measured yet."
"""In the place of a table that has no results."""
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
"""Begins what only git knows, at the end of the line."""
_PLACE = re.compile(r"<!-- table (\S+) -->\n(.*?)<!-- end -->", re.DOTALL)


@dataclass(frozen=True)
class Table:
    """``entries``: of the results that it is made of, by name."""

    experiment: str
    text: str
    file: Path
    entries: Mapping[str, Mapping[str, Any]]

    def __str__(self) -> str:
        """With the line that says what it came from."""
        return f"{self.text}\n\n{self.origin}"

    @property
    def origin(self) -> str:
        runs: dict[str, dict[str, None]] = {}
        for each in self.entries.values():
            runs.setdefault(each.get(TODAY, each["command"]), {})[_run(each)] = None
        said = "; ".join(f"`{command}` ({'; '.join(of)})" for command, of in runs.items())
        machines = ", ".join(dict.fromkeys(each["machine"] for each in self.entries.values()))
        copied = any(PRINTED in each for each in self.entries.values())
        note = " Copied from what was written down at that commit; the run's own file was not kept." if copied else ""
        file = self.file.relative_to(ROOT).as_posix()
        return f"Experiment `{self.experiment}`, `{file}`. Command: {said}; {machines}.{note}"


def _run(entry: Mapping[str, Any]) -> str:
    """What was run where that is another command now, on which code, and when."""
    commit = entry["commit"]
    asked = f"was run as `{entry['command']}`, " if TODAY in entry else ""
    code = f"{commit.removesuffix(DIRTY)} with uncommitted changes" if commit.endswith(DIRTY) else commit
    place = f", landed as {entry[LANDED]}" if LANDED in entry else ""
    absent = "" if entry.get(IN_REPOSITORY, True) else ", a commit that is not in this repository"
    return f"{asked}commit {code}{place}{absent}, {entry['date']}"


def commit_of(entry: Mapping[str, Any]) -> str | None:
    """The commit of this repository that has the code of an entry, as far as it was committed; none where none has."""
    return entry.get(LANDED, entry["commit"].removesuffix(DIRTY)) if entry.get(IN_REPOSITORY, True) else None


def all_tables() -> dict[str, Table]:
    """Of every experiment whose results are kept, by the name of its place."""
    return {key: table for name, each in EXPERIMENTS.items() for key, table in _tables_of(name, each)}


def all_texts() -> dict[str, str]:
    """Whatever stands in a place, but for what only git knows."""
    tables = all_tables()
    return {name: str(each) for name, each in tables.items()} | answers(
        {key: each.text for key, each in tables.items()}
    )


def _tables_of(name: str, experiment: Experiment) -> Iterator[tuple[str, Table]]:
    path = experiment.place(name)
    if not path.exists():
        return
    results = read_results(path)
    for entry, figures in results.items():
        for key, printed in figures.get(PRINTED, {}).items():
            yield key, Table(name, markdown(printed["head"], printed["rows"]), path, {entry: figures})
    found = {entry: figures for entry, figures in results.items() if PRINTED not in figures}
    if found and hasattr(module := experiment.load_tables(), "tables_of"):
        for key, text in module.tables_of(found).items():
            by_name = [entry for entry in found if key.endswith(f"-{place_of(entry)}")]
            own = getattr(module, "SOURCES", {}).get(key) or by_name or list(found)
            yield key, Table(name, text, path, {entry: found[entry] for entry in own if entry in found})


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    first, *others = (f"| {' | '.join(cells)} |" for cells in [head, *rows])
    return "\n".join([first, "|---" * len(head) + "|", *others])


def tables_on(page: Path) -> dict[str, str]:
    """What stands in the places of a page, by their names."""
    return {at[1]: at[2].strip() for at in _PLACE.finditer(page.read_text(encoding="utf-8"))}


def put_tables(page: Path, tables: Mapping[str, str]) -> None:
    """Put tables into their places on a page; those that have no place there are left out."""
    before = page.read_text(encoding="utf-8")
    after = _PLACE.sub(lambda at: _filled(at[1], tables[at[1]]) if at[1] in tables else at[0], before)
    if after != before:
        page.write_text(after, encoding="utf-8")


def _filled(name: str, table: str) -> str:
    return f"<!-- table {name} -->\n\n{table}\n\n<!-- end -->"


def pages() -> list[Path]:
    return [path for path in (ROOT / "README.md", *sorted(DOCS.rglob("*.md"))) if tables_on(path)]


def write_tables(words: Sequence[str]) -> None:
    """All tables on all pages."""
    if words:
        raise NATError(f"tables {words[0]}: takes no options; it writes all tables of docs/")
    texts, since = all_texts(), {name: _since(each) for name, each in all_tables().items()}
    for page in pages():
        names = list(tables_on(page))
        put_tables(page, {name: f"{texts.get(name, NOTHING)}{since.get(name, '')}" for name in names})
        print(f"{page.relative_to(ROOT)}: {', '.join(names)}")


def _since(table: Table) -> str:
    """Which of the files that the experiment measures have commits after those of the figures, as far as these are in
    the repository."""
    commits = set(filter(None, map(commit_of, table.entries.values())))
    changed = [path for path in EXPERIMENTS[table.experiment].measures if any(_changed(of, path) for of in commits)]
    return f"{SINCE}{', '.join(f'`{path}`' for path in changed)}." if changed else ""


def _changed(commit: str, path: str) -> bool:
    """True where it cannot be told."""
    words = ["git", "log", "-1", "--oneline", f"{commit}..HEAD", "--", path]
    told = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT)
    return told.returncode != 0 or bool(told.stdout.strip())
