"""A comparison: one folder, from a recipe to tables and pictures; the same call goes on after an interruption."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nat_plugin.checksums import check, is_done, reopen, write_checksums
from nat_plugin.comparisons.inputs import drawing, read_inputs
from nat_plugin.comparisons.plots import available, plot
from nat_plugin.comparisons.recipe import OPTIMUM, ComparisonPlan
from nat_plugin.comparisons.record import FILE, ComparisonRecord
from nat_plugin.comparisons.report import markdown, points
from nat_plugin.comparisons.searching import do_searches
from nat_plugin.comparisons.summary import Traces, summary, trained_by
from nat_plugin.comparisons.units import Work, missing, run_plan, same_data, tasks_of, units
from nat_plugin.errors import NATError
from nat_plugin.execution.choosing import find_executor
from nat_plugin.files import WriteError, write_text
from nat_plugin.fingerprints import Outside
from nat_plugin.plugins import Plugins
from nat_plugin.policy.finding import check_still_ships
from nat_plugin.runs.folder import begin_folder, check_free, tidy_folder
from nat_plugin.runs.progress import Reporter
from nat_plugin.runs.record import RunSource
from nat_plugin.runs.setup import set_up, settled, settled_as


def default_folder(name: str) -> Path:
    return Path("nat-comparisons") / Path(name).stem


def compare(plan: ComparisonPlan, folder: Path, plugins: Plugins, reporter: Reporter) -> dict[str, Any]:
    """Begin a comparison in a new or empty folder, or go on with the one there if its recipe is the same; what
    ``comparison.json`` holds."""
    try:
        with begin_folder(folder, FILE):
            if not (folder / FILE).exists():
                check_free(folder, FILE)
            tidy_folder(folder)
            plan, work, left_out = _begin(plan, folder, plugins)
            wanted = _wanted(plan, plugins)
            _search(work, plan, wanted, plugins, reporter)
            traces = Traces(work, plan, OPTIMUM in wanted)
            found = summary(work, plan, traces, left_out, plugins)
            reopen(folder)
            pictures = plot(found, folder) if available() else []
            results = {
                "points.csv": points(traces),
                "comparison.md": markdown(found, pictures),
                "comparison.json": json.dumps(found, indent=1),
            }
            for name, text in results.items():
                write_text(folder / name, text)
            write_checksums(folder, work.comparison, (folder / name for name in (*results, *pictures)))
            return found
    except WriteError as error:
        raise NATError(f"{error}; fix that, then give the same command again") from error
    finally:
        same_data.cache_clear()  # for the next comparison of this process files may have changed


def _search(work: Work, plan: ComparisonPlan, wanted: list[str], plugins: Plugins, reporter: Reporter) -> None:
    every = list(units(work))
    tasks = [task for unit in every for task in tasks_of(work, unit, missing(work, unit, wanted))]
    done = len(every) * len(wanted) - sum(len(task.labels) for task in tasks)
    reporter.phase("searches", len(every) * len(wanted), done)
    if not tasks:
        return
    with find_executor(plan.recipe.executor_name, plan.executor, work.folder, plugins) as executor:
        for count in do_searches(work, tasks, executor, plugins, reporter.note):
            done += count
            reporter.step(done)


def _begin(plan: ComparisonPlan, folder: Path, plugins: Plugins) -> tuple[ComparisonPlan, Work, int]:
    """With the work, from the folder if it is there; and how many inputs were left out."""
    if not (folder / FILE).exists():
        plan = plan.model_copy(update={"recipe": settled(plan.recipe)})
        origins, left_out = _inputs(plan, plugins)
        record = ComparisonRecord.of(plan.resolved(), origins, left_out, _read(plan, origins[0], plugins))
        record.write(folder)
        return plan, Work(plan.resolved(), record.origins, folder, record.comparison), left_out
    record = ComparisonRecord.read(folder)
    check_still_ships(record.files, "choose another --out")
    if is_done(folder):
        check(folder, record.comparison)
    plan = plan.model_copy(update={"recipe": settled_as(plan.recipe, record.recipe)})
    work = Work(plan.resolved(), record.origins, folder, record.comparison)
    if not record.is_of(work.recipe) or any(missing(work, unit, _wanted(plan, plugins)) for unit in units(work)):
        record.check(work.recipe, _read(plan, record.origins[0], plugins), folder)
    return plan, work, record.left_out


def _wanted(plan: ComparisonPlan, plugins: Plugins) -> list[str]:
    """The labels of the searches."""
    optimum = plan.recipe.regret and not plugins.find("evaluators", plan.recipe.evaluator_name).on_images
    return [*plan.names, *([OPTIMUM] if optimum else [])]


def _inputs(plan: ComparisonPlan, plugins: Plugins) -> tuple[list[RunSource], int]:
    """All that the recipe names; or a sample of those that can be transformed at all, and how many were passed over."""
    every = read_inputs(plan, plugins)
    order, wanted = drawing(plan, len(every)), plan.recipe.sources.sample
    if wanted is None:
        return every, 0
    found: list[RunSource] = []
    passed, problem = 0, ""
    for number in order:
        if len(found) == wanted:
            break
        try:
            set_up(run_plan(plan, every[number], next(iter(plan.names)), 0, plugins), every[number], plugins, same_data)
        except NATError as error:
            passed, problem = passed + 1, str(error)
            continue
        found.append(every[number])
    if len(found) < wanted:
        raise NATError(f"{plan.recipe.sources.file}: only {len(found):,} of its inputs can be transformed: {problem}")
    return found, passed


def _read(plan: ComparisonPlan, origin: RunSource, plugins: Plugins) -> list[Outside]:
    """What is read from outside. What is wrong with a strategy is said before anything is searched."""
    read: list[Outside] = []
    for label in plan.names:
        try:
            trained_by(plan.strategies[label])
            read += set_up(run_plan(plan, origin, label, 0, plugins), origin, plugins, same_data).outside
        except NATError as error:
            raise NATError(f"strategies.{label}: {error}") from None
    return list(dict.fromkeys(read))
