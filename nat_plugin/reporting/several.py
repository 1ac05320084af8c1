"""Several runs side by side."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from nat_plugin.evaluators.scale import Scale
from nat_plugin.reporting.inline import Names
from nat_plugin.reporting.journal import commonest_source
from nat_plugin.reporting.page import (
    Code,
    Column,
    Page,
    PagePart,
    Picture,
    Section,
    Table,
    TableCell,
    Text,
    count,
    plotted,
    shortened,
)
from nat_plugin.reporting.plots import Axis, Cloud, Curve, available, clouds, curves
from nat_plugin.reporting.runs import LONG, ArchitectureView, Run
from nat_plugin.reporting.searches import GAIN, best_so_far
from nat_plugin.runs.report import verdict_text


def several_page(runs: Sequence[tuple[str, Run]]) -> Page:
    """By name and run."""
    names = Names()
    sections = [
        Section("answer", "Results", tuple(_answer(runs))),
        Section("curves", "The searches", plotted(_curves(runs, names) if available() else ())),
        Section("architectures", "Architectures", tuple(_architectures(runs))),
    ]
    labels = sorted({run.label for _, run in runs})
    lead = f"{len(runs)} runs on {shortened(', '.join(labels), 300)}."
    if len({run.result.scale.name for _, run in runs}) > 1 or len({run.result.data.name for _, run in runs}) > 1:
        lead += " They were not measured on the same data, so that their figures cannot be compared."
    shown = tuple(each for each in sections if each.blocks)
    again = shlex.join(["nat", "report", *(name for name, _ in runs)])
    return Page("Runs side by side", f"{len(runs)} runs", lead, shown, "the folders of these runs", again)


def _answer(runs: Sequence[tuple[str, Run]]) -> Iterator[PagePart]:
    columns = ("run", "difference", "verdict", "MACs", "parameters", "input on test", "result on test", "evaluations",
               "strategy", "rules", "seed", "architecture")  # fmt: skip
    yield Table("Results side by side", tuple(map(Column, columns)), tuple(_row(name, run) for name, run in runs))
    for name, run in runs:
        yield Text(f"{name}: {verdict_text(run.figures)}")


def _row(name: str, run: Run) -> tuple[TableCell, ...]:
    found, scale = run.result, Scale(**run.result.scale.model_dump())
    before, after, difference = found.input, found.result, found.test_difference

    def saved(old: int, new: int) -> TableCell:
        return TableCell(f"{new:,} ({new / old - 1:+.1%})", float(new))

    return (
        TableCell(name), TableCell(scale.change(difference.value), difference.value), TableCell(found.verdict),
        saved(before.macs, after.macs), saved(before.params, after.params),
        *(TableCell(scale.value(side.test.value), side.test.value) for side in (before, after)),
        count(len(run.journal.evaluations)), TableCell(found.strategy), TableCell(found.rules), count(found.seed),
        TableCell(shortened(run.label, 60)),
    )  # fmt: skip


def _curves(runs: Sequence[tuple[str, Run]], names: Names) -> Iterator[Picture]:
    drawn = []
    for name, run in runs:
        own = run.result.input.in_search
        source = commonest_source(run.journal.evaluations) if own is None else own.key
        x, y = best_so_far(run.journal.evaluations, source)
        if x:
            drawn.append(Curve(name, x, y))
    if drawn:
        yield curves(names.next(), "Best so far", Axis("distinct networks measured", GAIN), drawn, step=True)
    for metric, label in (("macs", "MACs"), ("params", "parameters")):
        points = [_cloud(name, [run.result.result], metric) for name, run in runs]
        points.append(_cloud("the inputs", [run.result.input for _, run in runs], metric))
        caption = f"Input and result of each run: on test, against {label}"
        scale = runs[0][1].result.scale.name
        yield clouds(names.next(), caption, Axis(label, f"{scale} on test"), points)


def _cloud(name: str, sides: Sequence[ArchitectureView], metric: str) -> Cloud:
    costs = [float(getattr(side, metric)) for side in sides]
    return Cloud(name, costs, [side.test.value for side in sides], [None] * len(sides))


def _architectures(runs: Sequence[tuple[str, Run]]) -> Iterator[PagePart]:
    for name, run in runs:
        side = run.result.result
        yield Code(f"{name}, in the format {run.result.format}", shortened(side.architecture, LONG // len(runs)))
