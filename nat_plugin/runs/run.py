"""A run: one folder, from a recipe to the written-back architecture, resumable at any moment."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

from nat_plugin.checksums import write_checksums
from nat_plugin.errors import NATError
from nat_plugin.files import WriteError
from nat_plugin.ir import Network
from nat_plugin.measuring.latency import LATENCY
from nat_plugin.measuring.latency_limits import RANKED, SPARE_FINALISTS
from nat_plugin.plugins import Plugins
from nat_plugin.policy.finding import check_still_ships
from nat_plugin.runs.choice import FinalEpoch, FinalSelection, check_final
from nat_plugin.runs.curves import Curves
from nat_plugin.runs.devices import on_its_devices, plan_of_record, set_up_together
from nat_plugin.runs.finished import result_if_ended
from nat_plugin.runs.folder import Journal, begin_folder, check_free, locked, tidy_folder
from nat_plugin.runs.progress import Reporter
from nat_plugin.runs.recipe import RunPlan
from nat_plugin.runs.recipe import plan as plan_of
from nat_plugin.runs.record import RUN_FILE, RunRecord
from nat_plugin.runs.report import RESULTS, write_result
from nat_plugin.runs.search import Search
from nat_plugin.runs.setup import Setup, find_origin, settled
from nat_plugin.runs.stages import StageTimes
from nat_plugin.runs.state import load_state, save_state
from nat_plugin.runs.timing import Timing, timed
from nat_plugin.runs.weights import FOLDER as WEIGHTS
from nat_plugin.runs.worker_files import WORK
from nat_plugin.runs.workers import RunWorkers
from nat_plugin.tracking.base import SEARCH, Tracker, find_tracker
from nat_plugin.training.trainer import epoch_note

CHECKPOINT, JOURNAL = "checkpoint.safetensors", "journal.jsonl"
MOST_NAMED = 4096
"""Finalists that a strategy is asked for until enough of them can be assessed."""
Keep: TypeAlias = Callable[["FinalSelection | None"], None]
"""Writes a checkpoint."""


def start(plan: RunPlan, folder: Path, plugins: Plugins, reporter: Reporter) -> dict[str, Any]:
    """Begin a run in a new or empty folder and carry it through; what ``result.json`` holds."""
    plan = plan.model_copy(update={"recipe": settled(plan.recipe)})
    origin = find_origin(plan, plugins)
    with on_its_devices(plan, plugins) as ranks, begin_folder(folder, RUN_FILE):
        check_free(folder, RUN_FILE)
        tidy_folder(folder)
        setup = set_up_together(plan, origin, plugins, ranks)
        check_final(setup)
        record = RunRecord.of(plan.resolved(), origin, setup.outside)
        record.write(folder)
        return _carry_through(setup, record.run, folder, plugins, reporter)


def resume(
    folder: Path,
    plugins: Plugins,
    reporter: Reporter,
    moved: Mapping[str, str] | None = None,
    fabric: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Go on with a run after it was interrupted, however; ends with the same result as without the interruption. Of one
    that is done, the result.

    ``moved``: new places, by the old ones, of files and folders that the run read. ``fabric``: other devices than it
    had, by the keys of ``fabric`` in a recipe. NATError for a folder, or for anything that it read, that is not as it
    was."""
    if not folder.is_dir():
        raise NATError(f"{folder}: there is no such folder")
    RunRecord.place(folder)
    plan = plan_of_record(RunRecord.read(folder), fabric, plugins)
    with on_its_devices(plan, plugins) as ranks, locked(folder):
        tidy_folder(folder)
        record = RunRecord.read(folder).moved(moved or {})
        if (ended := result_if_ended(folder, record, bool(moved))) is not None:
            return ended
        check_still_ships(record.files, "start again in another folder")
        record.check_there(folder)
        setup = set_up_together(plan_of(record.recipe, plugins), record.origin, plugins, ranks)
        record.check_read(setup.outside)
        if moved:
            record.write(folder)
        return _carry_through(setup, record.run, folder, plugins, reporter)


def _carry_through(setup: Setup, run: str, folder: Path, plugins: Plugins, reporter: Reporter) -> dict[str, Any]:
    recipe = setup.plan.recipe
    times = reporter = StageTimes(reporter, folder, (folder / CHECKPOINT).exists())
    setup.evaluator.report = reporter.note
    setup.compute.ranks.advise(f"resume with: nat resume {shlex.quote(str(folder))}")
    tracker = find_tracker(recipe.tracker, folder, run)
    try:
        with closing(Journal(folder / JOURNAL)) as journal, RunWorkers(setup, plugins, folder, run) as workers:
            search = Search(setup.strategy, setup.evaluator, recipe.search, recipe.seed, journal, workers.trials)
            workers.report = reporter.note

            def keep(choice: FinalSelection | None) -> None:
                _checkpoint(run, folder, search, journal, choice)
                times.write()
                workers.write_work()

            choice = _restored(setup, run, folder, search, journal)
            if choice is None:
                _search(search, tracker, keep, reporter)
                count = recipe.final.candidates if recipe.final else 1
                choice = FinalSelection(setup, folder, *_finalists(setup, count, reporter))
                keep(choice)
            if setup.plan.recipe.final is None or workers.here:
                _choose(setup, choice, Curves(tracker, journal), keep, reporter)
            else:
                _choose_by_workers(choice, workers, Curves(tracker, journal), keep, reporter)
            result = write_result(setup, choice, search, folder)
        workers.forget()
        times.write()
        own = [
            CHECKPOINT,
            JOURNAL,
            WEIGHTS,
            WORK,
            *RESULTS,
            *([result["weights"]] if result["weights"] else []),
        ]
        write_checksums(folder, run, (folder / name for name in own))
        return result
    except WriteError as error:
        raise NATError(f"{error}; fix that, then resume with: nat resume {shlex.quote(str(folder))}") from error


def _restored(setup: Setup, run: str, folder: Path, search: Search, journal: Journal) -> FinalSelection | None:
    """Where the last checkpoint left off. NATError if it, or a file that it names, is not as it was."""
    path = folder / CHECKPOINT
    if not path.exists():
        search.replay(journal.cut())
        return None
    state = load_state(path)
    if state.get("run") != run:
        raise NATError(
            f"{path}: this is the checkpoint of another run; put that of this one back, or remove it: then the run is "
            "done again from its beginning"
        )
    left = journal.cut(state["journal"])
    search.restore(state["search"])
    search.replay(left)
    return None if state["choice"] is None else FinalSelection.restored(setup, folder, state["choice"])


def _checkpoint(run: str, folder: Path, search: Search, journal: Journal, choice: FinalSelection | None) -> None:
    """What the files of the run hold up to now is named in it, so that no other is taken for them."""
    journal.sync()
    state = {
        "run": run,
        "journal": journal.mark,
        "search": search.state(),
        "choice": choice.state() if choice else None,
    }
    save_state(folder / CHECKPOINT, state)


def _search(search: Search, tracker: Tracker, keep: Keep, reporter: Reporter) -> None:
    settings = search.settings
    with closing(tracker.part(SEARCH, search.round + 1)) as track:
        if search.warming:
            reporter.phase("warm-up", settings.warmup, search.warmed)
        while search.warming:
            search.advance()
            reporter.step(search.warmed)
            keep(None)
        reporter.phase("search", settings.rounds, search.round)
        while not search.finished:
            figures = search.advance()
            for name, value in figures.items():
                track.add(name, value, search.round)
            reporter.step(search.round, f"gain {figures['gain/mean']:+.4f}" if "gain/mean" in figures else "")
            if search.round % settings.checkpoint == 0 or search.finished:
                keep(None)


def _finalists(setup: Setup, count: int, reporter: Reporter) -> tuple[list[Network], Timing]:
    """The best that the strategy names of those that can be assessed: where that are few, it is asked for more. Some
    are spare: what is over a limit on latency as a whole may have nothing near to it that keeps it."""
    is_timed = LATENCY in dict(setup.final.moves.limits.values)
    wanted = asked = SPARE_FINALISTS * count if is_timed else count
    while True:
        named = setup.strategy.finalists(setup.search.network, asked)
        known = [network for network in named if setup.evaluator.can_assess(network)]
        if len(known) >= wanted or len(named) < asked or asked >= MOST_NAMED:
            more = setup.strategy.finalists(setup.search.network, RANKED) if is_timed else ()
            others = [network for network in more if network not in known[:wanted]]
            return timed(setup, known[:wanted], others, count, reporter)
        asked *= 4


def _choose(setup: Setup, choice: FinalSelection, curves: Curves, keep: Keep, reporter: Reporter) -> None:
    final = setup.plan.recipe.final
    reporter.phase("final training" if final else "selection", choice.steps, choice.steps_done)
    epochs = 0
    with closing(curves):
        while not choice.finished:
            before = len(choice.done)
            epoch = choice.advance()
            if epoch is not None:
                curves.add(epoch.network, epoch.seed, epoch.figures)
            epochs += 1
            if len(choice.done) > before or (final and epochs % final.checkpoint == 0):
                keep(choice)
            note = _note(choice, epoch, final.schedule.epochs) if final and epoch else ""
            reporter.step(choice.steps_done, note)


def _choose_by_workers(
    choice: FinalSelection, workers: RunWorkers, curves: Curves, keep: Keep, reporter: Reporter
) -> None:
    reporter.phase("final training", len(choice.units), len(choice.done))
    with closing(curves):
        for training in choice.train_by(workers):
            for epoch in training.epochs:
                curves.add(epoch.network, epoch.seed, epoch.figures)
            if training.why is not None:
                curves.lost(training.network, training.seed, training.why)
            keep(choice)
            reporter.step(len(choice.done))


def _note(choice: FinalSelection, epoch: FinalEpoch, epochs: int) -> str:
    name = "the input" if epoch.candidate == 0 else f"proposal {epoch.candidate} of {len(choice.candidates) - 1}"
    return f"{name}, training {epoch.seed + 1} of {choice.seeds}, {epoch_note(epoch.figures, epochs)}"


def default_folder(name: str, parent: Path = Path("nat-runs")) -> Path:
    """A folder that does not exist yet: ``nat-runs/NAME``, ``nat-runs/NAME-2``, …"""
    stem = Path(name).stem
    for number in range(1, 10_000):
        folder = parent / (stem if number == 1 else f"{stem}-{number}")
        if not folder.exists():
            return folder
    raise NATError(f"{parent}: too many runs named '{stem}'; choose --out")
