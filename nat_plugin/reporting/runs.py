"""The report of a run, from the files in its folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field

from nat_plugin.checksums import check, is_done
from nat_plugin.errors import NATError
from nat_plugin.ir import Network, Op, from_json
from nat_plugin.ir.budget import plain_amount
from nat_plugin.reporting.inline import Names
from nat_plugin.reporting.journal import JournalView, commonest_source, curves_of, journal, measured
from nat_plugin.reporting.networks import changes, every_edge, where_costs_lie
from nat_plugin.reporting.page import (
    Answer,
    Answers,
    Code,
    Folded,
    Page,
    PagePart,
    Picture,
    Section,
    SideBySide,
    Text,
    plain_table,
    plotted,
    shortened,
)
from nat_plugin.reporting.plots import Axis, Curve, available, curves
from nat_plugin.reporting.reading import LARGEST, Read, ScaleValues, SearchSize, Spread, checked, read_json
from nat_plugin.reporting.searches import RunEnds, search_blocks
from nat_plugin.reporting.stages import StageView, read_stages, stages_blocks
from nat_plugin.reporting.workers import WorkDoneView, read_workers, workers_blocks
from nat_plugin.runs.finished import RESULT
from nat_plugin.runs.loading import NETWORK
from nat_plugin.runs.record import RunRecord
from nat_plugin.runs.report import data_line, rows, verdict_text
from nat_plugin.search.surrogate.acquisition import LEFT_OUT_RANK
from nat_plugin.sources import read_text

JOURNAL = "journal.jsonl"
LONG = 20_000
"""Characters of an architecture that are shown."""
TRAININGS = 16
"""Curves in one plot."""


class IntervalView(Read):
    value: float
    low: float | None
    high: float | None


class TimingView(Read):
    """Milliseconds of the whole network, and as a share of those of the input."""

    ms: float
    low: float
    high: float
    share: float


class ArchitectureView(Read):
    architecture: str
    key: str
    params: int = Field(gt=0, le=LARGEST)
    macs: int = Field(gt=0, le=LARGEST)
    measured: dict[str, float | None]
    by_cell: dict[str, Spread] = Field({})
    choices: dict[str, str] = Field({})
    selection: IntervalView
    test: IntervalView
    ops: list[str] | None = None
    in_search: SearchSize | None = None
    timed: TimingView | None = None


class Data(Read):
    name: str
    shape: list[int]
    classes: int
    splits: dict[str, int]
    absent: int = 0


class Candidate(Read):
    key: str
    selection: IntervalView
    params: int = Field(ge=0, le=LARGEST)
    macs: int = Field(ge=0, le=LARGEST)


class ResultView(Read):
    """``result.json``, as far as it is shown."""

    version: str
    input: ArchitectureView
    result: ArchitectureView
    changed: bool
    input_fits: bool
    format: str
    weights: str | None
    scale: ScaleValues
    test_difference: IntervalView
    trainings: int | None
    interval_covers: str
    verdict: Literal["better", "worse", "within noise", "none"]
    verdict_reason: str
    candidates: list[Candidate]
    trained_for_real: bool
    untrained: bool
    evaluated: int
    rules: str
    budget: dict[str, float]
    strategy: str
    notes: list[str]
    seed: int
    data: Data
    made_with: dict[str, str] = Field({})
    timed_as: str | None = None


@dataclass(frozen=True)
class Run:
    """All that a report shows of a run."""

    label: str
    recipe: dict[str, Any]
    result: ResultView
    journal: JournalView
    before: Network | None
    after: Network
    workers: Mapping[str, WorkDoneView]
    stages: Mapping[str, StageView]

    @property
    def figures(self) -> dict[str, Any]:
        """As the functions of the Markdown report take them."""
        return self.result.model_dump()


def read_run(folder: Path) -> Run:
    """NATError for a folder of no run, for one that has not ended, and for files that were changed."""
    record = RunRecord.read(folder)
    if is_done(folder):
        check(folder, record.run, (RESULT, NETWORK, JOURNAL))
    elif not (folder / RESULT).is_file():
        raise NATError(f"{folder}: the run has not ended: `nat resume {folder}` resumes it")
    result = checked(ResultView, read_json(folder / RESULT), str(folder / RESULT))
    after = from_json(read_text(folder / NETWORK))
    before: Network | None = after
    if result.changed:
        ops = result.input.ops
        try:
            before = None if ops is None else after.with_ops([Op.parse(text) for text in ops])
        except NATError as error:
            raise NATError(f"{folder / RESULT}: input.ops: {error}; put it back as it was written") from None
    lines = journal(folder / JOURNAL)
    workers, stages = read_workers(folder), read_stages(folder)
    return Run(record.origin.label, record.recipe, result, lines, before, after, workers, stages)


def run_page(run: Run) -> Page:
    names, plots = Names(), available()
    sections = [
        Section("answer", "Result", tuple(_answer(run))),
        Section("change", "What changed", tuple(_change(run))),
        Section("search", "The search", tuple(_search(run, names, plots))),
        Section("learning", "How it learned", plotted(_learning(run.journal, run, names) if plots else ())),
        Section("spent", "What was spent on what", tuple(_spent(run))),
        Section("made", "How to make it again", tuple(_made(run))),
    ]
    title = f"{shortened(run.label, 120)}: {run.result.strategy} under rules {run.result.rules}"
    return Page("Run of nat", title, verdict_text(run.figures), tuple(each for each in sections if each.blocks))


def _answer(run: Run) -> Iterator[PagePart]:
    result, table = run.result, rows(run.figures)
    yield Answers(tuple(Answer(*_headline(*row)) for row in table))
    yield plain_table("Input and result side by side", ("", "input", "result", "change"), table)
    known = [result.input.selection.low, result.test_difference.low]
    if any(each is not None for each in known):
        yield Text(f"Brackets are 95 % intervals, for {result.interval_covers}.")
    yield SideBySide(
        (_architecture("Input", result.input),),
        (_architecture(f"Result, in the format {result.format}", result.result),),
    )
    yield Code("To go on from here, in the folder of this run", _commands(result))


def _architecture(caption: str, side: ArchitectureView) -> Code:
    return Code(f"{caption}{_cut(side.architecture)}", shortened(side.architecture, LONG))


def _headline(name: str, old: str, new: str, change: str) -> tuple[str, str, str]:
    return (name, "unchanged", old) if old == new else (name, change or new, f"{old} → {new}")


def _cut(text: str) -> str:
    return f" (the first {LONG:,} characters)" if len(text) > LONG else ""


def _commands(result: ResultView) -> str:
    lines = ["nat run recipe.yaml -o again  # the recipe is at the end of this page", "nat show ."]
    lines += ["nat export . -o model"] if result.weights is not None else []
    return "\n".join([*lines, "nat convert architecture.txt --to network"])


def _change(run: Run) -> Iterator[PagePart]:
    if not run.result.changed:
        yield Text("The result is the input.")
        yield from where_costs_lie((run.after, run.result.result.by_cell))
        yield every_edge(run.after, "Every operation")
        return
    yield from _by_label(run.result.input.choices, run.result.result.choices)
    if run.before is None:
        yield Text("The files of this run do not say what the operations of the input were: an older version made it.")
        yield from where_costs_lie((run.after, run.result.result.by_cell))
    else:
        yield from changes(run.before, run.after)
        yield from where_costs_lie((run.before, run.result.input.by_cell), (run.after, run.result.result.by_cell))
        yield every_edge(run.before, "Every operation of the input")
    yield every_edge(run.after, "Every operation of the result")


def _by_label(before: dict[str, str], after: dict[str, str]) -> Iterator[PagePart]:
    """What was chosen, where the format has labels for that: what changed, and all on demand."""
    labels = list(dict.fromkeys([*before, *after]))
    rows = [
        (shortened(label, 200), *(shortened(side.get(label, "–"), 200) for side in (before, after))) for label in labels
    ]
    changed = [row for row in rows if row[1] != row[2]]
    names = ("label", "input", "result")
    if changed:
        yield plain_table("Choices that changed, by label", names, changed)
    if rows:
        yield Folded(f"All {len(rows):,} choices, by label", (plain_table("Choices by label", names, rows),))


def _search(run: Run, names: Names, plots: bool) -> Iterator[PagePart]:
    lines, own = run.journal.evaluations, run.result.input.in_search
    failed = sum(each.gain is None for each in lines)
    how = f"{len(lines):,} evaluations of {len(measured(lines)):,} proposals"
    yield Text(f"{how}, {failed:,} of them failed." if failed else f"{how}.")
    if own is not None and own.key != run.result.input.key:
        yield Text("Costs in this section are those at the size of the search; drawings have those of the final stage.")
    for note in run.result.notes:
        yield Text(note)
    source = commonest_source(lines) if own is None else own.key
    costs, limits = ({}, {}) if own is None else (own.costs, own.limits)
    chosen = frozenset(each.key for each in run.result.candidates)
    space = RunEnds(run.before, run.after, source, chosen, costs, limits)
    yield from search_blocks(lines, space, names, plots)


_PARTS = (("shared_weights", "Shared weights", {"steps", "lr"}), ("strategy", "Strategy", set[str]()))
_FIGURES = {LEFT_OUT_RANK: "rank correlation of the surrogate model with what it left out"}
"""What figures of a round are called, where not as in the journal."""


def _learning(lines: JournalView, run: Run, names: Names) -> Iterator[Picture]:
    for found, x in ((lines.warm_up, "steps of the warm-up"), (lines.rounds, "round of the search")):
        for part, title, skipped in _PARTS:
            for figure, (steps, known) in curves_of(found, part).items():
                if figure not in skipped and len(known) > 1:
                    said = _FIGURES.get(figure, figure)
                    caption = f"{title}: {said}" + (" in the warm-up" if found is lines.warm_up else "")
                    yield curves(names.next(), caption, Axis(x, figure.replace("_", " ")), [Curve(said, steps, known)])
    candidates = {each.key: f"proposal {number}" for number, each in enumerate(run.result.candidates)}
    candidates |= {run.result.result.key: "the result", run.result.input.key: "the input"}
    for figure in ("accuracy", "loss"):
        by_training: dict[tuple[str, int], tuple[list[float], list[float]]] = {}
        for epoch in lines.epochs:
            value = getattr(epoch, figure)
            if value is not None:
                steps, known = by_training.setdefault((epoch.network, epoch.seed), ([], []))
                steps.append(float(epoch.epoch))
                known.append(value)
        drawn = [
            Curve(f"{candidates.get(network, 'a proposal')}, training {seed + 1}", *found)
            for (network, seed), found in list(by_training.items())[:TRAININGS]
        ]
        if drawn:
            more = f" (the first {TRAININGS} trainings)" if len(by_training) > TRAININGS else ""
            caption = f"Final training: {figure} on what it trains on{more}"
            yield curves(names.next(), caption, Axis("epoch", figure), drawn)


def _spent(run: Run) -> Iterator[PagePart]:
    search, final = run.recipe.get("search") or {}, run.recipe.get("final")
    evaluations = run.journal.evaluations
    steps = [each.shared_weights.get("steps") for each in run.journal.rounds]
    trainings = {(each.network, each.seed) for each in run.journal.epochs}
    counts = [
        ("steps of the warm-up of shared weights", search.get("warmup") if isinstance(search, dict) else None),
        ("steps of shared weights in all", next((each for each in reversed(steps) if each is not None), None)),
        ("rounds of the search", max((each.round for each in evaluations), default=-1) + 1),
        ("evaluations", len(evaluations)),
        ("distinct networks, inputs with them", run.result.evaluated),
        ("networks assessed at the end", len(run.result.candidates)),
        ("trainings from scratch", len(trainings) if final else None),
        ("epochs of these", len(run.journal.epochs) if final else None),
    ]
    known = [(name, f"{number:,.0f}") for name, number in counts if isinstance(number, int | float) and number]
    yield plain_table("What was spent", ("on", "how much"), known)
    yield from stages_blocks(run.stages)
    yield from workers_blocks(run.workers)
    yield Text(data_line(run.figures["data"]))


def _made(run: Run) -> Iterator[PagePart]:
    result, recipe = run.result, run.recipe
    limits = ", ".join(f"{name} ≤ {plain_amount(limit)}" for name, limit in result.budget.items()) or "none"
    said = [("limits", limits), ("seed", str(result.seed)), ("nat-plugin", result.version)]
    said += [(name, str(recipe[name])) for name in ("device", "precision", "threads") if name in recipe]
    said += [("latency", result.timed_as)] if result.timed_as else []
    said += list(result.made_with.items())
    yield plain_table("Settings and versions", ("what", "value"), [(a, shortened(b, 300)) for a, b in said])
    text = yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True, width=100)
    yield Folded("Recipe, with everything spelled out", (
        Code(f"Saved as recipe.yaml: nat run recipe.yaml{_cut(text)}", shortened(text, LONG)),))  # fmt: skip
