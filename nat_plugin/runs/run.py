"""A run: one folder, from a recipe to the written-back architecture, resumable at any moment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from nat_plugin.errors import NATError
from nat_plugin.files import WriteError, file_errors
from nat_plugin.plugins import Plugins
from nat_plugin.runs.choice import Choice, Epoch
from nat_plugin.runs.curves import Curves
from nat_plugin.runs.folder import Journal, locked
from nat_plugin.runs.progress import Reporter
from nat_plugin.runs.recipe import Plan
from nat_plugin.runs.report import write_result
from nat_plugin.runs.search import Search
from nat_plugin.runs.setup import RUN_FILE, Setup, describe_run, find_origin, read_run, set_up
from nat_plugin.runs.state import load_state, save_state
from nat_plugin.training.trainer import epoch_note

CHECKPOINT = "checkpoint.safetensors"


def start(plan: Plan, folder: Path, plugins: Plugins, reporter: Reporter) -> dict[str, Any]:
    """Begin a run in a new or empty folder and carry it through; what ``result.json`` holds."""
    origin = find_origin(plan, plugins)
    with file_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        if any(path.name != ".lock" for path in folder.iterdir()):
            hint = "`nat resume` goes on with it" if (folder / RUN_FILE).exists() else "it is not empty"
            raise NATError(f"{folder}: this folder is in use: {hint}; or choose another --out")
        setup = set_up(plan, origin, plugins)
        describe_run(folder, plan, origin)
        return _carry_through(setup, folder, reporter)


def resume(folder: Path, plugins: Plugins, reporter: Reporter) -> dict[str, Any]:
    """Go on with a run after it was interrupted, however; ends with the same result as without the interruption."""
    if not folder.is_dir():
        raise NATError(f"{folder}: there is no such folder")
    with locked(folder):
        plan, origin = read_run(folder, plugins)
        return _carry_through(set_up(plan, origin, plugins), folder, reporter)


def _carry_through(setup: Setup, folder: Path, reporter: Reporter) -> dict[str, Any]:
    journal = Journal(folder / "journal.jsonl")
    recipe = setup.plan.recipe
    setup.evaluator.report = reporter.note
    search = Search(setup.strategy, setup.evaluator, recipe.search, recipe.seed, journal)
    choice: Choice | None = None
    if (folder / CHECKPOINT).exists():
        state = load_state(folder / CHECKPOINT)
        search.restore(state["search"])
        if state["choice"] is not None:
            choice = Choice.restored(setup, folder, state["choice"])
    else:
        journal.cut(0)
    try:
        if choice is None:
            _search(search, folder, reporter)
            count = recipe.final.candidates if recipe.final else 1
            choice = Choice(setup, folder, list(setup.strategy.finalists(setup.search.network, count)))
            _checkpoint(folder, search, choice)
        _choose(setup, search, choice, folder, reporter)
        return write_result(setup, choice, len(search.keys), folder)
    except WriteError as error:
        raise NATError(f"{error}; mend that, then go on with `nat resume {folder}`") from error
    finally:
        journal.close()


def _checkpoint(folder: Path, search: Search, choice: Choice | None) -> None:
    if search.journal is not None:
        search.journal.sync()
    state = {"search": search.state(), "choice": choice.state() if choice else None}
    save_state(folder / CHECKPOINT, state)


def _search(search: Search, folder: Path, reporter: Reporter) -> None:
    settings = search.settings
    with file_errors(folder):
        events = SummaryWriter(folder / "events", purge_step=search.round)
    try:
        if search.warming:
            reporter.phase("warm-up", settings.warmup, search.warmed)
        while search.warming:
            search.advance()
            reporter.step(search.warmed)
            _checkpoint(folder, search, None)
        reporter.phase("search", settings.rounds, search.round)
        while not search.finished:
            figures = search.advance()
            for name, value in figures.items():
                events.add_scalar(name, value, search.round)
            reporter.step(search.round, f"gain {figures['gain/mean']:+.4f}" if "gain/mean" in figures else "")
            if search.round % settings.checkpoint == 0 or search.finished:
                _checkpoint(folder, search, None)
    finally:
        with file_errors(folder):
            events.close()


def _choose(setup: Setup, search: Search, choice: Choice, folder: Path, reporter: Reporter) -> None:
    final = setup.plan.recipe.final
    reporter.phase("final training" if final else "selection", choice.steps, choice.steps_done)
    epochs = 0
    with Curves(folder, search.journal) as curves:
        while not choice.finished:
            before = len(choice.done)
            epoch = choice.advance()
            if epoch is not None:
                curves.add(epoch.network, epoch.seed, epoch.figures)
            epochs += 1
            if len(choice.done) > before or (final and epochs % final.checkpoint == 0):
                _checkpoint(folder, search, choice)
            note = _note(choice, epoch, final.schedule.epochs) if final and epoch else ""
            reporter.step(choice.steps_done, note)


def _note(choice: Choice, epoch: Epoch, epochs: int) -> str:
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
