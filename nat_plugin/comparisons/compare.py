"""A comparison: one folder, from a recipe to tables and pictures; the same call goes on after an interruption."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nat_plugin import __version__
from nat_plugin.comparisons.inputs import drawing, read_inputs
from nat_plugin.comparisons.parallel import doing
from nat_plugin.comparisons.plots import available, plot
from nat_plugin.comparisons.recipe import OPTIMUM, ComparisonPlan
from nat_plugin.comparisons.report import markdown, points
from nat_plugin.comparisons.summary import Traces, summary, trained_by
from nat_plugin.comparisons.units import Work, missing, run_plan, same_data, units
from nat_plugin.errors import NATError
from nat_plugin.files import WriteError, file_errors, write_text
from nat_plugin.plugins import Plugins
from nat_plugin.runs.folder import locked
from nat_plugin.runs.progress import Reporter
from nat_plugin.runs.setup import Origin, set_up
from nat_plugin.sources import read_text

FILE = "compare.json"
_NOT_RESULTS = ("processes",)
"""Keys of a recipe that may be others when a comparison is gone on with."""


def default_folder(name: str) -> Path:
    return Path("nat-comparisons") / Path(name).stem


def compare(plan: ComparisonPlan, folder: Path, plugins: Plugins, reporter: Reporter) -> dict[str, Any]:
    """Begin a comparison in a new or empty folder, or go on with the one there if its recipe is the same; what
    ``comparison.json`` holds."""
    same_data.cache_clear()  # files may have changed since another comparison of this process
    with file_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        with locked(folder):
            work, left_out = _begin(plan, folder, plugins)
            optimum = plan.recipe.regret and not plugins.find("evaluators", plan.recipe.evaluator_name).on_images
            _search(work, plan, [*plan.names, *([OPTIMUM] if optimum else [])], reporter)
            traces = Traces(work, plan, optimum)
            found = summary(work, plan, traces, left_out, plugins)
            pictures = plot(found, folder) if available() else []
            write_text(folder / "points.csv", points(traces))
            write_text(folder / "comparison.md", markdown(found, pictures))
            write_text(folder / "comparison.json", json.dumps(found, indent=1))
            return found
    except WriteError as error:
        raise NATError(f"{error}; mend that, then give the same command again") from error


def _search(work: Work, plan: ComparisonPlan, wanted: list[str], reporter: Reporter) -> None:
    every = list(units(work))

    def done() -> int:
        return sum(len(wanted) - len(missing(work, unit, wanted)) for unit in every)

    todo = [unit for unit in every if missing(work, unit, wanted)]
    reporter.phase("searches", len(every) * len(wanted), done())
    for _ in doing(work, todo, wanted, plan.recipe.processes, reporter.note):
        reporter.step(done())


def _begin(plan: ComparisonPlan, folder: Path, plugins: Plugins) -> tuple[Work, int]:
    """The work, from the folder if it is there; and how many inputs were left out."""
    recipe = plan.resolved()
    if (folder / FILE).exists():
        document = _read(folder)
        if _of_results(document["recipe"]) != _of_results(recipe):
            raise NATError(f"{folder}: the comparison in this folder has another recipe; choose another --out")
        origins, left_out = [Origin(**each) for each in document["origins"]], int(document["left_out"])
    else:
        if any(path.name != ".lock" for path in folder.iterdir()):
            raise NATError(f"{folder}: this folder is in use: it is not empty; choose another --out")
        origins, left_out = _inputs(plan, plugins)
        _check(plan, origins[0], plugins)
        document = {
            "version": __version__,
            "recipe": recipe,
            "origins": [asdict(origin) for origin in origins],
            "left_out": left_out,
        }
        write_text(folder / FILE, json.dumps(document, indent=1))
    return Work(recipe, tuple(origins), folder), left_out


def _read(folder: Path) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(read_text(folder / FILE))
        version = document["version"]
        known = {"recipe", "origins", "left_out"} <= document.keys()
    except (ValueError, KeyError, TypeError, AttributeError):
        known, version = False, None
    if not known:
        raise NATError(f"{folder / FILE}: damaged; choose another --out and begin anew")
    if version != __version__:
        raise NATError(f"{folder}: begun by nat-plugin {version}, this is {__version__}; install that version")
    return document


def _of_results(recipe: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in recipe.items() if name not in _NOT_RESULTS}


def _inputs(plan: ComparisonPlan, plugins: Plugins) -> tuple[list[Origin], int]:
    """All that the recipe names; or a sample of those that can be transformed at all, and how many were passed over."""
    every = read_inputs(plan, plugins)
    order, wanted = drawing(plan, len(every)), plan.recipe.sources.sample
    if wanted is None:
        return every, 0
    found: list[Origin] = []
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


def _check(plan: ComparisonPlan, origin: Origin, plugins: Plugins) -> None:
    """What is wrong with a strategy is said before anything is searched."""
    for label in plan.names:
        try:
            trained_by(plan.strategies[label])
            set_up(run_plan(plan, origin, label, 0, plugins), origin, plugins, same_data)
        except NATError as error:
            raise NATError(f"strategies.{label}: {error}") from None
