"""Tables of the documentation, made of the results that are kept.

A page has places: ``<!-- table NAME -->`` and ``<!-- end -->``. What stands between them is the table of that name, and
a line that says which runs it came from. These are listed in the place ``runs`` of the page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from benchmarks.common.results import ROOT, place_of, read_results
from benchmarks.provenance import PRINTED, Run, list_of, referred
from benchmarks.questions import answers
from benchmarks.registry import EXPERIMENTS, Experiment
from nat_plugin.errors import NATError

DOCS = ROOT / "docs"
NOTHING = "Not measured yet."
"""In the place of a table that has no results."""
RUNS = "runs"
"""The place of what the tables of a page came from."""
_PLACE = re.compile(r"<!-- table (\S+) -->\n(.*?)<!-- end -->", re.DOTALL)


@dataclass(frozen=True)
class Table:
    """``entries``: of the results that it is made of, by name."""

    experiment: str
    text: str
    file: Path
    entries: Mapping[str, Mapping[str, Any]]

    @property
    def runs(self) -> list[Run]:
        file = self.file.relative_to(ROOT).as_posix()
        return list(dict.fromkeys(Run.of(self.experiment, file, each) for each in self.entries.values()))


def all_tables() -> dict[str, Table]:
    """Of every experiment whose results are kept, by the name of its place."""
    return {key: table for name, each in EXPERIMENTS.items() for key, table in _tables_of(name, each)}


def all_texts() -> dict[str, str]:
    """Every table and every list of answers, by the name of its place."""
    return _texts_of(all_tables())


def _texts_of(tables: Mapping[str, Table]) -> dict[str, str]:
    texts = {name: each.text for name, each in tables.items()}
    return texts | answers(texts)


def texts_by_page(since: bool = True) -> dict[Path, dict[str, str]]:
    """What belongs into the places of every page. ``since``: with what only git knows."""
    tables = all_tables()
    return {page: _texts_on(page, tables, _texts_of(tables), since) for page in pages()}


def _texts_on(page: Path, tables: Mapping[str, Table], texts: Mapping[str, str], since: bool) -> dict[str, str]:
    names = list(tables_on(page))
    runs = list(dict.fromkeys(chain.from_iterable(tables[name].runs for name in names if name in tables)))
    found = {name: texts.get(name, NOTHING) for name in names}
    found |= {name: f"{found[name]}\n\n{referred(tables[name].runs, runs)}" for name in names if name in tables}
    return found | ({RUNS: list_of(runs, since)} if RUNS in names else {})


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
    for page, texts in texts_by_page().items():
        put_tables(page, texts)
        print(f"{page.relative_to(ROOT)}: {', '.join(texts)}")
