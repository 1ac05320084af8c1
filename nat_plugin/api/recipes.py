"""Recipes carried through: what ``nat run``, ``compare``, ``train`` and ``resume`` do, for scripts."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from nat_plugin.api.architectures import Architecture
from nat_plugin.api.results import ComparisonResult, RunResult, TrainingResult
from nat_plugin.errors import NATError
from nat_plugin.plugins import plugins
from nat_plugin.runs.reading import label_of, read_values

if TYPE_CHECKING:
    from nat_plugin.runs.progress import Reporter

_R = TypeVar("_R")
RecipeLike: TypeAlias = "str | os.PathLike[str] | Mapping[str, Any]"
"""The name of a recipe that ships, a file, or the values that such a file has."""
Overrides: TypeAlias = "Mapping[str, Any] | Iterable[str] | None"
"""Keys of a recipe with dots, as in ``search.rounds``, and their values; of the command line ``KEY=VALUE``."""
Folder: TypeAlias = "str | os.PathLike[str]"


@dataclass(frozen=True)
class Job(Generic[_R]):
    """A recipe that was checked, and the folder that it is carried through in."""

    folder: Path
    work: Callable[[Reporter], _R]

    def carry_through(self, progress: bool | None = None) -> _R:
        """``progress``: a bar, or lines where standard error is no terminal; left out: on a terminal only. Torch has as
        many threads afterwards as before, whatever the recipe says."""
        import torch

        from nat_plugin.runs.progress import reporter

        threads = torch.get_num_threads()
        try:
            with reporter(quiet=not (sys.stderr.isatty() if progress is None else progress)) as shown:
                done = self.work(shown)
        finally:
            torch.set_num_threads(threads)
        _report(self.folder)
        return done


def run(
    recipe: RecipeLike,
    overrides: Mapping[str, Any] | None = None,
    *,
    out: Folder | None = None,
    device: str | None = None,
    extended: bool = False,
    progress: bool | None = None,
) -> RunResult:
    """Run a recipe: search, train the finalists, choose, and write the result.

    ``recipe``: one that ships by its name, a file, or a dict of its keys (docs/reference/recipes.md); its ``source``
    may be an ``Architecture``. ``overrides``: other values, by dotted keys. ``out``: a new or empty folder; left out:
    ``nat-runs/NAME``. ``extended``: allow null where the format cannot represent it. ``progress``: a bar, or lines
    where standard error is no terminal; left out: on a terminal only. ``resume`` continues an interrupted run. NATError
    with one line for each mistake.

    >>> import nat_plugin as nat
    >>> recipe = {
    ...     "source": "DARTS_V2",
    ...     "network": {"channels": 4, "cells": 3},
    ...     "strategy": {"name": "random"},
    ...     "evaluator": {"name": "proxies", "proxies": ["params"], "references": 2},
    ...     "search": {"rounds": 1, "proposals": 2},
    ... }
    >>> result = nat.run(recipe, {"budget.macs": "0.9x"})
    >>> result.folder.as_posix(), result.winner.macs <= 0.9 * result.input.macs
    ('nat-runs/recipe', True)
    """
    return run_job(recipe, _given(overrides), out, device, extended).carry_through(progress)


def compare(
    recipe: RecipeLike,
    overrides: Mapping[str, Any] | None = None,
    *,
    out: Folder | None = None,
    device: str | None = None,
    processes: int | None = None,
    progress: bool | None = None,
) -> ComparisonResult:
    """Compare strategies with equal queries, by a recipe as ``run`` takes it; the same call resumes an interrupted one.
    ``out``: left out: ``nat-comparisons/NAME``. ``processes``: searches to run in parallel, the same as
    ``executor.workers`` of the recipe.

    >>> import nat_plugin as nat
    >>> nat.compare("compare-digits", {"queries": 0})
    Traceback (most recent call last):
    nat_plugin.errors.NATErrors: queries: Input should be greater than or equal to 1 (got '0')
    """
    return compare_job(recipe, _given(overrides), out, device, processes).carry_through(progress)


def train(
    recipe: RecipeLike,
    overrides: Mapping[str, Any] | None = None,
    *,
    out: Folder | None = None,
    device: str | None = None,
    progress: bool | None = None,
) -> TrainingResult:
    """Train a policy and its critic, by a recipe as ``run`` takes it; ``transform(..., policy=result.policy)`` uses the
    result. ``out``: left out: ``nat-trainings/NAME``. ``resume`` continues an interrupted training.

    >>> import nat_plugin as nat
    >>> nat.train("quickstart")
    Traceback (most recent call last):
    nat_plugin.errors.NATError: quickstart: this recipe is of a run (it has 'source'): use `nat run quickstart`
    """
    return train_job(recipe, _given(overrides), out, device).carry_through(progress)


def resume(
    folder: Folder,
    moved: Mapping[str, str] | None = None,
    *,
    fabric: Mapping[str, Any] | None = None,
    progress: bool | None = None,
) -> RunResult | TrainingResult:
    """Resume an interrupted run or training; the result is the same as without the interruption. If it is finished,
    return its result. ``moved``: new paths, by the old ones, of files and folders that it read. ``fabric``: other
    devices for a run: ``{"devices": 2}``.

    >>> import nat_plugin as nat
    >>> nat.resume("nowhere")
    Traceback (most recent call last):
    nat_plugin.errors.NATError: nowhere: there is no such folder
    """
    return resume_job(_folder("folder", folder), moved or {}, fabric).carry_through(progress)


def run_job(
    recipe: RecipeLike, overrides: Overrides, out: Folder | None, device: str | None, extended: bool
) -> Job[RunResult]:
    """See ``run``. NATError for what is wrong with a recipe before torch is imported, which takes seconds."""
    values, label = _values(recipe, overrides, device=device, extended=extended or None), label_of(recipe)

    from nat_plugin.runs.recipe import plan_of_file
    from nat_plugin.runs.run import default_folder, start

    plan = plan_of_file(label, values, plugins())
    folder = default_folder(label) if out is None else _folder("out", out)
    return Job(folder, lambda shown: RunResult(folder, start(plan, folder, plugins(), shown)))


def compare_job(
    recipe: RecipeLike, overrides: Overrides, out: Folder | None, device: str | None, processes: int | None
) -> Job[ComparisonResult]:
    """See ``compare``."""
    side_by_side = {"executor.workers": processes}
    values, label = _values(recipe, overrides, device=device, **side_by_side), label_of(recipe)

    from nat_plugin.comparisons.compare import compare, default_folder
    from nat_plugin.comparisons.recipe import plan_of_file

    plan = plan_of_file(label, values, plugins())
    folder = default_folder(label) if out is None else _folder("out", out)
    return Job(folder, lambda shown: ComparisonResult(folder, compare(plan, folder, plugins(), shown)))


def train_job(recipe: RecipeLike, overrides: Overrides, out: Folder | None, device: str | None) -> Job[TrainingResult]:
    """See ``train``."""
    from nat_plugin.policy.training.recipe import plan_of_file

    label = label_of(recipe)
    plan = plan_of_file(label, _values(recipe, overrides, device=device), plugins())

    from nat_plugin.policy.training.train import start
    from nat_plugin.runs.run import default_folder

    folder = default_folder(label, Path("nat-trainings")) if out is None else _folder("out", out)
    return Job(folder, lambda shown: TrainingResult(folder, start(plan, folder, plugins(), shown)))


def resume_job(
    folder: Path, moved: Mapping[str, str], fabric: Mapping[str, Any] | None = None
) -> Job[RunResult] | Job[TrainingResult]:
    """See ``resume``. NATError for a folder that cannot be resumed, by its record, before torch is imported."""
    from nat_plugin.policy.training.recipe import plan_training
    from nat_plugin.policy.training.record import TrainingRecord, is_training
    from nat_plugin.runs.record import RunRecord

    if not isinstance(moved, Mapping) or not all(isinstance(each, str) for each in (*moved, *moved.values())):
        raise NATError(f"moved: must be a mapping of old paths to new ones, not {moved!r:.60}")
    if not folder.is_dir():
        raise NATError(f"{folder}: there is no such folder")
    if fabric is not None and not isinstance(fabric, Mapping):
        raise NATError(f"fabric: must be a mapping such as {{'devices': 2}}, not {fabric!r:.60}")
    if is_training(folder):
        if fabric:
            raise NATError(f"{folder}: this folder is of `nat train`, which uses one device; leave fabric out")
        plan_training(TrainingRecord.read(folder).moved(moved).recipe, plugins())

        from nat_plugin.policy.training.train import resume as go_on_training

        return Job(folder, lambda shown: TrainingResult(folder, go_on_training(folder, plugins(), shown, moved)))
    RunRecord.read(folder)

    from nat_plugin.runs.run import resume as go_on

    return Job(folder, lambda shown: RunResult(folder, go_on(folder, plugins(), shown, moved, fabric)))


def _report(folder: Path) -> None:
    """``report.html`` of what is done. Where it cannot be made, a line says so: the results are there all the same."""
    from nat_plugin.reporting.report_file import write_report

    def say(line: str) -> None:
        print(f"nat: {line}", file=sys.stderr)

    try:
        write_report(folder, say)
    except NATError as error:
        say(f"no report.html: {error}")


def _given(overrides: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if overrides is not None and not isinstance(overrides, Mapping):
        raise NATError(f"overrides: must be a mapping such as {{'search.rounds': 3}}, not {overrides!r:.60}")
    return overrides or {}


def _values(recipe: RecipeLike, overrides: Overrides, **others: object) -> dict[str, Any]:
    """Of a recipe, and what arguments of their own say."""
    if not isinstance(recipe, str | os.PathLike | Mapping):
        raise NATError(f"recipe: must be a name, a file, or a dict of its keys, not a {type(recipe).__name__}")
    recipe = _with_text(recipe) if isinstance(recipe, Mapping) else recipe
    overrides = _with_text(overrides) if isinstance(overrides, Mapping) else overrides
    values = read_values(recipe, overrides or (), plugins())
    return read_values(values, {name: value for name, value in others.items() if value is not None}, plugins())


def _with_text(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """An architecture as the source stands for its text and format."""
    own = values.get("source")
    return {"adapter": own.format, **values, "source": own.text} if isinstance(own, Architecture) else values


def _folder(name: str, given: Folder) -> Path:
    if not isinstance(given, str | os.PathLike) or not os.fspath(given):
        raise NATError(f"{name}: must be a folder, not {given!r:.60}")
    return Path(given)
