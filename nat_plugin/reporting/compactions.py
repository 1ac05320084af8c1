"""The report of a compaction, from the files in its folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from nat_plugin.ir import Network, from_json, key
from nat_plugin.reporting.inline import Names
from nat_plugin.reporting.journal import Evaluation, journal, measured
from nat_plugin.reporting.networks import changes, every_edge, where_costs_lie
from nat_plugin.reporting.page import (
    Answer,
    Answers,
    Code,
    Column,
    Page,
    PagePart,
    Section,
    Table,
    TableCell,
    Text,
    count,
    plain_table,
    shortened,
)
from nat_plugin.reporting.plots import Axis, Cloud, available, clouds
from nat_plugin.reporting.reading import LARGEST, Read, SearchSize, Spread, checked, read_json
from nat_plugin.reporting.searches import RunEnds, search_blocks
from nat_plugin.reporting.workers import WorkDoneView, workers_blocks

COMPACTION_FILE = "compaction.json"
"""What ``nat_timm.compact`` writes beside a model that it saves."""
JOURNAL = "journal.jsonl"
"""The same, of the search."""


class LatencyView(Read):
    ms: float
    low: float
    high: float


class Model(Read):
    """``network``: the JSON of its cells. ``low`` and ``high`` are the 95 % interval of the accuracy."""

    how: str
    accuracy: float
    low: float
    high: float
    params: int = Field(gt=0, le=LARGEST)
    macs: int = Field(gt=0, le=LARGEST)
    latency: LatencyView | None = None
    network: str
    by_cell: dict[str, Spread] = Field({})


class Compaction(Read):
    """``compaction.json``; ``tuned``: the best first."""

    version: str
    name: str
    before: Model
    reference: Model
    tuned: list[Model] = Field(min_length=1)
    kept: bool
    verdict: str
    evaluated: int = Field(ge=0, le=LARGEST)
    images: int = Field(ge=0, le=LARGEST)
    setting: str | None = None
    plain: bool
    made_with: dict[str, str] = Field({})
    workers: dict[str, WorkDoneView] = Field({})
    search: SearchSize | None = None
    kind: Literal["compaction"] = "compaction"


@dataclass(frozen=True)
class Compacted:
    """All that a report shows of a compaction."""

    found: Compaction
    before: Network | None
    """At other widths than the result: None."""
    after: Network
    evaluations: tuple[Evaluation, ...] = ()


def read_compaction(folder: Path) -> Compacted:
    """NATError for a file that is not as it was written."""
    path = folder / COMPACTION_FILE
    found = checked(Compaction, read_json(path), str(path))
    before, after = from_json(found.before.network), from_json(found.tuned[0].network)
    known = before if before.differs_in_ops_only(after) else None
    lines = folder / JOURNAL
    evaluations = journal(lines).evaluations if found.search is not None and lines.is_file() else ()
    return Compacted(found, known, after, evaluations)


def compaction_page(compacted: Compacted) -> Page:
    found, names = compacted.found, Names()
    sections = [
        Section("answer", "Result", tuple(_answer(found))),
        Section("change", "What changed", tuple(_change(compacted))),
        Section("search", "The search", tuple(_search(compacted, names, available()))),
        Section("models", "What was fine-tuned", tuple(_models(found, names, available()))),
        Section("workers", "Workers", tuple(workers_blocks(found.workers, COMPACTION_FILE))),
        Section("made", "How it was made", tuple(_made(found))),
    ]
    title = f"{shortened(found.name, 120)}, compacted"
    return Page("Compaction", title, shortened(found.verdict, 1000), tuple(each for each in sections if each.blocks))


def _answer(found: Compaction) -> Iterator[PagePart]:
    old, new = found.before, found.tuned[0]
    rows = [
        ("accuracy", _accuracy(old), _accuracy(new), f"{100 * (new.accuracy - old.accuracy):+.2f} points"),
        ("MACs", f"{old.macs:,}", f"{new.macs:,}", f"{new.macs / old.macs - 1:+.1%}"),
        ("parameters", f"{old.params:,}", f"{new.params:,}", f"{new.params / old.params - 1:+.1%}"),
    ]
    if old.latency is not None and new.latency is not None and old.latency.ms > 0:
        change = f"{new.latency.ms / old.latency.ms - 1:+.1%}"
        rows.append(("latency", _latency(old.latency), _latency(new.latency), change))
    yield Answers(tuple(Answer(name, change, f"{before} → {after}") for name, before, after, change in rows))
    yield plain_table("The model and the result side by side", ("", "model", "result", "change"), rows)
    yield Text(
        f"Brackets are 95 % intervals. Accuracies are on the {found.images:,} images of val_loader, by which the best "
        "was chosen: images of neither loader say more."
    )
    lines = [] if found.plain else ["import nat_timm  # so that timm knows edited models"]
    load = 'model = timm.create_model("local-dir:FOLDER", pretrained=True)'
    yield Code("To load the result; FOLDER is the folder of this file", "\n".join([*lines, "import timm", "", load]))


def _accuracy(model: Model) -> str:
    return f"{model.accuracy:.2%} [{model.low:.2%}, {model.high:.2%}]"


def _latency(latency: LatencyView) -> str:
    return f"{latency.ms:.3g} ms [{latency.low:.3g}, {latency.high:.3g}]"


def _change(compacted: Compacted) -> Iterator[PagePart]:
    best = (compacted.after, compacted.found.tuned[0].by_cell)
    if compacted.found.kept or compacted.before is None:
        kept = "The best is the model itself."
        yield Text(kept if compacted.found.kept else "The result has other widths than the model, block by block.")
        yield from where_costs_lie(best)
    else:
        yield from changes(compacted.before, compacted.after)
        yield from where_costs_lie((compacted.before, compacted.found.before.by_cell), best)
    yield every_edge(compacted.after, "Every block of the result")


def _search(compacted: Compacted, names: Names, plots: bool) -> Iterator[PagePart]:
    lines, started = compacted.evaluations, compacted.found.search
    if started is not None and lines:
        yield Text(f"{len(lines):,} evaluations of {len(measured(lines)):,} proposals.")
        chosen = frozenset(key(from_json(each.network)) for each in compacted.found.tuned)
        space = RunEnds(compacted.before, compacted.after, started.key, chosen, started.costs, started.limits)
        yield from search_blocks(lines, space, names, plots)


def _models(found: Compaction, names: Names, plots: bool) -> Iterator[PagePart]:
    rows = [("the model as it came", found.before), ("the model, fine-tuned alike", found.reference)]
    rows += [(f"result {number}", each) for number, each in enumerate(found.tuned, start=1)]
    columns = ("what", "weights", "accuracy", "MACs", "parameters", "latency")
    table = tuple(
        (
            TableCell(name), TableCell(shortened(each.how, 200)), TableCell(_accuracy(each), each.accuracy),
            count(each.macs), count(each.params),
            TableCell("–") if each.latency is None else TableCell(_latency(each.latency), each.latency.ms),
        )
        for name, each in rows
    )  # fmt: skip
    if plots:
        drawn = [Cloud(name, [float(each.macs)], [each.accuracy], [None]) for name, each in rows[:8]]
        yield clouds(names.next(), "Accuracy against MACs", Axis("MACs", "accuracy on val_loader"), drawn)
    yield Table("Models side by side, the best result first", tuple(map(Column, columns)), table)


def _made(found: Compaction) -> Iterator[PagePart]:
    said = [("networks measured in the search", f"{found.evaluated:,}"), ("nat-plugin", found.version)]
    said += [("latency", found.setting)] if found.setting is not None else []
    said += list(found.made_with.items())
    yield plain_table("Settings and versions", ("what", "value"), [(a, shortened(b, 300)) for a, b in said])
