"""The report of a training of a policy, from the files in its folder."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field

from nat_plugin.checksums import check, is_done
from nat_plugin.errors import NATError
from nat_plugin.policy.training.record import TrainingRecord
from nat_plugin.reporting.inline import Names
from nat_plugin.reporting.page import (
    Answer,
    Answers,
    Code,
    Column,
    Folded,
    Page,
    PagePart,
    Picture,
    Section,
    Table,
    TableCell,
    Text,
    count,
    plain_table,
    plotted,
    shortened,
)
from nat_plugin.reporting.plots import Axis, Curve, available, curves
from nat_plugin.reporting.reading import LARGEST, Read, checked, read_json
from nat_plugin.reporting.workers import WorkDoneView, read_workers, workers_blocks
from nat_plugin.runs.finished import RESULT
from nat_plugin.runs.folder import read_journal

JOURNAL = "journal.jsonl"
CRITIC_LOSS = "critic_loss"
MOST = 12
"""Tasks in one plot."""


class Gain(Read):
    rules: str
    limits: dict[str, float | str]
    inputs: int
    known: int
    gain: float | None = None
    worse: float | None = None
    best: float | None = None
    share: float | None = None


class Tenth(Read):
    pairs: int
    said: float
    true: float


class CriticView(Read):
    networks: int
    spearman: float | None = None
    pairs: int = 0
    error: float | None = None
    bins: tuple[Tenth, ...] = Field((), strict=False)


class TaskFigures(Read):
    what: str
    space: str
    networks: int
    held_out: int
    evaluations: int
    failed: int
    distinct: int
    left_out: list[str]
    gains: list[Gain]
    critic: CriticView


class Training(Read):
    """``result.json`` of a training, as far as it is shown."""

    version: str
    name: str
    seed: int
    rules: list[str]
    objective: str
    inputs: int
    updates: int
    seconds: float = Field(ge=0, le=LARGEST)
    tasks: dict[str, TaskFigures] = Field(min_length=1)


@dataclass(frozen=True)
class TrainingFolder:
    """All that a report shows of a training. ``curves``: by stage and figure, updates (of the critic, steps of its fit)
    and values."""

    recipe: dict[str, Any]
    found: Training
    curves: dict[tuple[int, str], tuple[list[float], list[float]]]
    workers: Mapping[str, WorkDoneView]


def read_training(folder: Path) -> TrainingFolder:
    """NATError for a folder of no training, for one that has not ended, and for files that were changed."""
    record, path = TrainingRecord.read(folder), folder / RESULT
    if is_done(folder):
        check(folder, record.run, (RESULT, JOURNAL))
    elif not path.is_file():
        raise NATError(f"{folder}: the training has not ended: `nat resume {folder}` resumes it")
    found, learned = checked(Training, read_json(path), str(path)), _learned(folder / JOURNAL)
    return TrainingFolder(record.recipe, found, learned, read_workers(folder))


def _learned(path: Path) -> dict[tuple[int, str], tuple[list[float], list[float]]]:
    found: dict[tuple[int, str], tuple[list[float], list[float]]] = {}
    for line in read_journal(path):
        stage, update = line.pop("stage", None), line.pop("critic_step", None) or line.pop("update", None)
        if type(stage) is not int or type(update) is not int or abs(update) > LARGEST:
            continue
        for name, value in line.items():
            if isinstance(value, float) and math.isfinite(value):
                updates, known = found.setdefault((stage, name), ([], []))
                updates.append(float(update))
                known.append(value)
    return found


def training_page(trained: TrainingFolder) -> Page:
    found, names = trained.found, Names()
    plots = available()
    sections = [
        Section("answer", "Result", tuple(_answer(found))),
        Section("critic", "The critic, on networks held out", tuple(_critic(found, names, plots))),
        Section("learning", "How policy and critic learned", plotted(_curves(trained, names) if plots else ())),
        Section("spent", "What was read", tuple(_read(found))),
        Section("workers", "Workers", tuple(workers_blocks(trained.workers))),
        Section("made", "How to make it again", tuple(_made(trained))),
    ]
    lead = (
        f"A policy that learned from {len(found.tasks):,} tasks by the {found.objective} objective: {found.updates:,} "
        f"updates on {found.inputs:,} inputs, {found.seconds:,.0f} seconds."
    )
    return Page("Training", found.name, lead, tuple(each for each in sections if each.blocks))


def _answer(found: Training) -> Iterator[PagePart]:
    rows = [(name, gain) for name, task in found.tasks.items() for gain in task.gains]
    shares = [gain.share for _, gain in rows if gain.share is not None]
    worse = [gain.worse for _, gain in rows if gain.worse is not None]
    known = [
        *(
            [Answer("of the best reachable, in the mean of all rows", f"{sum(shares) / len(shares):.1%}")]
            if shares
            else []
        ),
        *([Answer("of results below their input", f"{sum(worse) / len(worse):.1%}")] if worse else []),
    ]
    if known:
        yield Answers(tuple(known))
    yield Text(
        "What the policy makes of a network that was held out, at once and without a query, in the unit of the score."
    )
    names = (
        "task",
        "rules",
        "limits",
        "gain",
        "of the best",
        "best reachable",
        "worse",
        "inputs",
        "with a score",
    )
    yield Table(
        "Gain on inputs held out",
        tuple(map(Column, names)),
        tuple(
            (
                TableCell(name), TableCell(gain.rules),
                TableCell(" ".join(f"{metric} {limit}" for metric, limit in gain.limits.items()) or "none"),
                _figure(gain.gain, "+.4g"), _figure(gain.share, ".1%"), _figure(gain.best, "+.4g"),
                _figure(gain.worse, ".1%"), count(gain.inputs), count(gain.known),
            )
            for name, gain in rows
        ),
    )  # fmt: skip
    yield _to_go_on()


def _to_go_on() -> Code:
    lines = (
        "nat train recipe.yaml -o again  # the recipe is at the end of this page",
        "nat transform SOURCE --policy policy.safetensors",
    )
    return Code("To go on from here, in the folder of this training", "\n".join(lines))


def _figure(value: float | None, form: str) -> TableCell:
    return TableCell("–") if value is None else TableCell(format(value, form), value)


def _critic(found: Training, names: Names, plots: bool) -> Iterator[PagePart]:
    columns = tuple(map(Column, ("task", "networks", "rank correlation", "pairs", "calibration error")))
    rows = tuple(
        (TableCell(name), count(task.critic.networks), _figure(task.critic.spearman, ".2f"), count(task.critic.pairs),
         _figure(task.critic.error, ".2f"))
        for name, task in found.tasks.items()
    )  # fmt: skip
    yield Table("The critic's order of networks, and of pairs how likely it held the other to be better", columns, rows)
    drawn = [Curve("ideal", [0.0, 1.0], [0.0, 1.0])]
    for name, task in list(found.tasks.items())[:MOST]:
        if task.critic.bins:
            drawn.append(
                Curve(name, [each.said for each in task.critic.bins], [each.true for each in task.critic.bins])
            )
    if plots and len(drawn) > 1:
        axis = Axis("how likely the critic held the other to be better", "how often it was")
        yield curves(names.next(), "Calibration of the critic", axis, drawn)


def _curves(trained: TrainingFolder, names: Names) -> Iterator[Picture]:
    figures = dict.fromkeys(figure for _, figure in trained.curves)
    for figure in list(figures)[:MOST]:
        drawn = [
            Curve(f"stage {stage + 1}", *known)
            for (stage, name), known in sorted(trained.curves.items())[: 50 * MOST]
            if name == figure
        ]
        if figure == CRITIC_LOSS:
            yield curves(names.next(), "Critic: loss on what it learns from", Axis("step", "loss"), drawn[:MOST])
        else:
            yield curves(names.next(), f"Policy: {figure}", Axis("update", figure), drawn[:MOST])


def _read(found: Training) -> Iterator[PagePart]:
    names = ("task", "what", "networks", "held out", "read", "failed", "different networks read")
    columns = tuple(Column(name, bars=name == "read") for name in names)
    rows = tuple(
        (TableCell(name), TableCell(f"{task.space}: {task.what}"), count(task.networks), count(task.held_out),
         count(task.evaluations), count(task.failed), count(task.distinct))
        for name, task in found.tasks.items()
    )  # fmt: skip
    yield Table("What was read, by task", columns, rows)
    for name, task in found.tasks.items():
        for line in task.left_out[:20]:
            yield Text(f"{name}: left out: {line}")


def _made(trained: TrainingFolder) -> Iterator[PagePart]:
    found, recipe = trained.found, trained.recipe
    said = [("rules", ", ".join(found.rules)), ("seed", str(found.seed)), ("nat-plugin", found.version)]
    said += [(name, str(recipe[name])) for name in ("device", "threads") if name in recipe]
    yield plain_table("Settings and versions", ("what", "value"), [(a, shortened(b, 300)) for a, b in said])
    text = yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True, width=100)
    yield Folded("Recipe, with everything spelled out", (Code("Saved as recipe.yaml: nat train recipe.yaml",
                                                              shortened(text, 20_000)),))  # fmt: skip
