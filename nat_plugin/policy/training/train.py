"""``nat train``: one folder, from a recipe to a policy file and a report, resumable at any moment as a run is."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from nat_plugin.checksums import write_checksums
from nat_plugin.device import find_compute
from nat_plugin.errors import NATError
from nat_plugin.files import WriteError, write_text
from nat_plugin.plugins import Plugins
from nat_plugin.policy.files import SavedCritic, save_policy
from nat_plugin.policy.training.measuring import SourceWorkers
from nat_plugin.policy.training.proxies import TaskProxies
from nat_plugin.policy.training.recipe import TrainingPlan, TrainingRecipe, plan_training
from nat_plugin.policy.training.record import FILE, TrainingRecord
from nat_plugin.policy.training.report import facts_of, markdown, summary
from nat_plugin.policy.training.sources import outside_of, read_pool
from nat_plugin.policy.training.spaces import World
from nat_plugin.policy.training.tasks import HeldOutShare, TrainingTask
from nat_plugin.policy.training.trainer import Trainer
from nat_plugin.runs.finished import result_if_ended
from nat_plugin.runs.folder import Journal, begin_folder, check_free, locked, tidy_folder
from nat_plugin.runs.progress import Reporter
from nat_plugin.runs.record import RunSource
from nat_plugin.runs.state import load_state, save_state
from nat_plugin.runs.worker_files import KeptWorkers

CHECKPOINT, JOURNAL = "checkpoint.safetensors", "journal.jsonl"
RESULTS = POLICY, RESULT, REPORT = "policy.safetensors", "result.json", "report.md"


def start(plan: TrainingPlan, folder: Path, plugins: Plugins, reporter: Reporter) -> dict[str, Any]:
    """Begin a training in a new or empty folder and carry it through; what ``result.json`` holds."""
    plan = plan.model_copy(update={"recipe": _settled(plan.recipe)})
    with begin_folder(folder, FILE):
        check_free(folder, FILE)
        tidy_folder(folder)
        trainer = _set_up(plan, folder, plugins)
        origin = RunSource("", "", plan.recipe.name)
        record = TrainingRecord.of(plan.resolved(), origin, outside_of(task.pool for task in trainer.tasks))
        record.write(folder)
        return _carry_through(trainer, _workers(plan, folder, plugins, record.run), plan, folder, reporter)


def resume(
    folder: Path, plugins: Plugins, reporter: Reporter, moved: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Go on with a training after it was interrupted, however; ends with the same policy as without the interruption.
    Of one that is done, the result.

    ``moved``: new places, by the old ones, of files and folders that it read. NATError for a folder, or for anything
    that it read, that is not as it was."""
    if not folder.is_dir():
        raise NATError(f"{folder}: there is no such folder")
    TrainingRecord.place(folder)
    with locked(folder):
        tidy_folder(folder)
        record = TrainingRecord.read(folder).moved(moved or {})
        if (ended := result_if_ended(folder, record, bool(moved))) is not None:
            return ended
        record.check_there(folder)
        plan = plan_training(record.recipe, plugins)
        trainer = _set_up(plan, folder, plugins)
        record.check_read(outside_of(task.pool for task in trainer.tasks))
        if moved:
            record.write(folder)
        return _carry_through(trainer, _workers(plan, folder, plugins, record.run), plan, folder, reporter)


def _settled(recipe: TrainingRecipe) -> TrainingRecipe:
    """With the device and the number of threads of this machine written down."""
    found = {"device": str(find_compute(recipe.device).device), "threads": recipe.threads or torch.get_num_threads()}
    return recipe.model_copy(update=found)


def _set_up(plan: TrainingPlan, folder: Path, plugins: Plugins) -> Trainer:
    """Read the sources and draw the inputs. NATError for anything that is wrong with them."""
    recipe, world, tasks = plan.recipe, World(), []
    if recipe.threads is not None:
        torch.set_num_threads(recipe.threads)
    for name, source in recipe.sources.items():
        pool = read_pool(name, source, plan.parts[name], recipe, plugins)
        tasks.append(
            TrainingTask.of(
                name, source.weight, pool, world, HeldOutShare(source.held_out, recipe.split), source.evaluations
            )
        )
        if tasks[-1].most < 2:
            raise NATError(
                f"sources.{name}: {len(pool.networks):,} networks, of which {tasks[-1].most} can be learned from; a "
                "training needs at least two: add some, or lower held_out"
            )
    device = find_compute(recipe.device).device
    return Trainer(recipe, tasks, world, device, TaskProxies(recipe, folder, device))


@dataclass
class _Clock:
    """Seconds that a training took, over all its processes."""

    before: float
    since: float

    @property
    def seconds(self) -> float:
        return self.before + time.monotonic() - self.since


def _workers(plan: TrainingPlan, folder: Path, plugins: Plugins, run: str) -> KeptWorkers:
    return KeptWorkers(plan.recipe.executor_name, plan.executor, folder, plugins, run)


def _carry_through(
    trainer: Trainer, workers: KeptWorkers, plan: TrainingPlan, folder: Path, reporter: Reporter
) -> dict[str, Any]:
    run = workers.run
    try:
        with closing(Journal(folder / JOURNAL)) as journal, workers:
            trainer.in_turn, workers.report = workers.in_turn, reporter.note
            sources = SourceWorkers(workers, plan)
            trainer.find_out, trainer.at_a_time = sources.find_out, sources.at_a_time(trainer.at_a_time)
            clock = _Clock(_restored(trainer, run, folder, journal), time.monotonic())
            reporter.phase("training", trainer.steps, trainer.steps_done)
            since = 0
            while not trainer.finished:
                before = trainer.position
                note = trainer.advance(journal.add)
                updated = trainer.position.stage == before.stage and trainer.position.updates > before.updates
                since = since + 1 if updated else trainer.recipe.checkpoint
                if since >= trainer.recipe.checkpoint:
                    _checkpoint(trainer, run, folder, journal, clock)
                    workers.write_work()
                    since = 0
                reporter.step(trainer.steps_done, note)
        found = _write_result(trainer, folder, clock)
        workers.forget()
        write_checksums(folder, run, (folder / name for name in (CHECKPOINT, JOURNAL, *RESULTS)))
        return found
    except WriteError as error:
        raise NATError(f"{error}; fix that, then resume with: nat resume {shlex.quote(str(folder))}") from error


def _restored(trainer: Trainer, run: str, folder: Path, journal: Journal) -> float:
    """Go to where the last checkpoint left off; the seconds until then."""
    path = folder / CHECKPOINT
    if not path.exists():
        journal.cut()
        return 0.0
    state = load_state(path)
    if state.get("run") != run:
        raise NATError(
            f"{path}: this is the checkpoint of another training; put that of this one back, or remove it: then it is "
            "done again from its beginning"
        )
    journal.cut(state["journal"])
    trainer.restore(state["trainer"])
    return float(state["seconds"])


def _checkpoint(trainer: Trainer, run: str, folder: Path, journal: Journal, clock: _Clock) -> None:
    trainer.settle()
    journal.sync()
    state = {"run": run, "journal": journal.mark, "seconds": clock.seconds, "trainer": trainer.state()}
    save_state(folder / CHECKPOINT, state)


def _write_result(trainer: Trainer, folder: Path, clock: _Clock) -> dict[str, Any]:
    critic = trainer.critic
    assert critic is not None
    trainer.settle()
    found = summary(trainer)
    save_policy(trainer.policy, folder / POLICY, facts_of(trainer), SavedCritic(critic.config(), critic.tensors()))
    found["seconds"] = round(clock.seconds, 1)
    write_text(folder / RESULT, json.dumps(found, indent=1))
    write_text(folder / REPORT, markdown(found))
    return found
