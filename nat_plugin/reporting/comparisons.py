"""The report of a comparison, from the files in its folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field

from nat_plugin.checksums import check, is_done
from nat_plugin.comparisons.record import ComparisonRecord
from nat_plugin.comparisons.report import columns, notes, rows
from nat_plugin.errors import NATError
from nat_plugin.evaluators.scale import Scale
from nat_plugin.reporting.inline import Names
from nat_plugin.reporting.page import (
    Answer,
    Answers,
    Code,
    Folded,
    Page,
    PagePart,
    Picture,
    Section,
    Text,
    plain_table,
    plotted,
    shortened,
)
from nat_plugin.reporting.plots import Axis, Curve, available, curves
from nat_plugin.reporting.reading import LARGEST, Read, ScaleValues, checked, read_json
from nat_plugin.reporting.workers import WorkDoneView, read_workers, workers_blocks

FIGURES = "comparison.json"
INPUTS = 200


class Mean(Read):
    value: float | None
    low: float | None
    high: float | None


class Test(Read):
    difference: Mean
    holm: float


class Band(Read):
    mean: list[float | None]
    low: list[float | None]
    high: list[float | None]


class QueriesView(Read):
    per_input: float
    total: float | None


class StrategyView(Read):
    """What one strategy found."""

    gain: Mean
    held_out: Mean
    regret: Mean | None
    test: Test | None
    verdict: str | None
    verdict_reason: str | None
    queries: QueriesView
    curves: dict[str, Band]
    notes: dict[str, int] = Field({})


class Optimum(Read):
    gain: Mean
    held_out: Mean


class ComparisonView(Read):
    """``comparison.json``, as far as it is shown."""

    version: str
    inputs: list[str] = Field(min_length=1)
    inputs_left_out: int = Field(ge=0, le=LARGEST)
    queries: int = Field(ge=0, le=LARGEST)
    seeds: int = Field(ge=1, le=LARGEST)
    seed: int
    rules: str
    budget: dict[str, float | str]
    evaluator: str
    scale: ScaleValues
    held_out_split: str
    samples: str
    interval_covers: str
    baseline: str | None
    optimum: Optimum | None
    strategies: dict[str, StrategyView] = Field(min_length=1)


@dataclass(frozen=True)
class Compared:
    """All that a report shows of a comparison."""

    recipe: dict[str, Any]
    found: ComparisonView
    workers: Mapping[str, WorkDoneView]

    @property
    def figures(self) -> dict[str, Any]:
        return self.found.model_dump()


def read_comparison(folder: Path) -> Compared:
    """NATError for a folder of no comparison, for one that has not ended, and for files that were changed."""
    record, path = ComparisonRecord.read(folder), folder / FIGURES
    if is_done(folder):
        check(folder, record.comparison, (FIGURES,))
    elif not path.is_file():
        raise NATError(f"{folder}: the comparison has not ended: the same `nat compare` resumes it")
    return Compared(record.recipe, checked(ComparisonView, read_json(path), str(path)), read_workers(folder))


def comparison_page(compared: Compared) -> Page:
    found, plots = compared.found, available()
    sections = [
        Section("answer", "Result", tuple(_answer(compared))),
        Section("curves", "By queries", plotted(_curves(found) if plots else ())),
        Section("workers", "Workers", tuple(workers_blocks(compared.workers))),
        Section("made", "How to make it again", tuple(_made(compared))),
    ]
    title = f"{len(found.strategies):,} strategies by {found.evaluator} under rules {found.rules}"
    return Page("Comparison", title, _lead(found), tuple(each for each in sections if each.blocks))


def _lead(found: ComparisonView) -> str:
    """The verdicts against the baseline, and who found most."""
    known = {label: each.held_out.value for label, each in found.strategies.items() if each.held_out.value is not None}
    best = max(known, key=lambda label: known[label] or 0.0, default=None)
    said = [] if best is None else [f"{best} has the largest mean gain on held-out data."]
    for label, each in found.strategies.items():
        if each.verdict == "none":
            said.append(f"{label} against {found.baseline}: no verdict.")
        elif each.verdict is not None:
            said.append(f"{label} against {found.baseline}: {each.verdict}.")
    return shortened(" ".join(said), 1000)


def _answer(compared: Compared) -> Iterator[PagePart]:
    found, figures = compared.found, compared.figures
    scale = Scale(**figures["scale"])
    yield Answers(tuple(Answer(label, *_gain(each, scale)) for label, each in found.strategies.items()))
    yield plain_table("Gain with equal queries", columns(figures), rows(figures))
    for note in notes(figures):
        yield Text(note)
    again = "nat compare recipe.yaml -o again  # the recipe is at the end of this page"
    yield Code("To go on from here", again)


def _gain(each: StrategyView, scale: Scale) -> tuple[str, str]:
    value, verdict = each.held_out.value, "" if each.verdict is None else f"verdict: {each.verdict}"
    if value is None:
        return "nothing found", verdict
    return f"{scale.factor * value:+.4g}", "; ".join(filter(None, (scale.gains, verdict)))


def _curves(found: ComparisonView) -> Iterator[Picture]:
    names, scale = Names(), Scale(**found.scale.model_dump())
    kinds = (
        ("held_out", "Gain held out of the best so far", scale.factor, f"held-out gain in {scale.gains}"),
        ("gain", "Measured gain of the best so far", 1, "measured gain"),
        ("regret", "Regret: what is missing to the reachable optimum", 1, "regret"),
    )
    for figure, caption, factor, label in kinds:
        drawn = []
        for name, each in found.strategies.items():
            band = each.curves.get(figure)
            if band is None or not len(band.mean) == len(band.low) == len(band.high):
                continue
            known = [at for at, value in enumerate(band.mean) if value is not None]
            low, high = ([_times(values[at], factor) for at in known] for values in (band.low, band.high))
            drawn.append(Curve(name, known, [factor * (band.mean[at] or 0.0) for at in known], low, high))
        drawn = [each for each in drawn if each.x]
        if drawn:
            bands = f"queries per input (bands: 95 % over {found.samples})"
            yield curves(names.next(), caption, Axis(bands, label), drawn, step=True)


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else factor * value


def _made(compared: Compared) -> Iterator[PagePart]:
    found, recipe = compared.found, compared.recipe
    limits = ", ".join(f"{name} {limit}" for name, limit in found.budget.items()) or "none"
    said = [("limits", limits), ("seed", str(found.seed)), ("nat-plugin", found.version)]
    said += [(name, str(recipe[name])) for name in ("device", "precision", "threads") if name in recipe]
    yield plain_table("Settings and versions", ("what", "value"), [(a, shortened(b, 300)) for a, b in said])
    left = len(found.inputs) - INPUTS
    shown = "\n".join(shortened(each, 500) for each in found.inputs[:INPUTS])
    yield Folded("Inputs", (Code(f"{len(found.inputs):,} inputs", shown + (f"\n… {left:,} more" if left > 0 else "")),))
    text = yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True, width=100)
    yield Folded("Recipe, with everything spelled out", (Code("Saved as recipe.yaml: nat compare recipe.yaml",
                                                              shortened(text, 20_000)),))  # fmt: skip
