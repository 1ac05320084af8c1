"""The evaluator ``training`` with a note of every training that a worker begins and ends: what is done twice is seen,
also where only the first counts. A command finds it as a plugin, by ``environment``."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

from nat_plugin.evaluators.training import TrainingEvaluator
from nat_plugin.evaluators.trial import Trial
from nat_plugin.hookspecs import hookimpl
from nat_plugin.runs.folder import read_journal
from nat_plugin.runs.worker_files import FOLDER
from nat_plugin.settings import State

RUN, NOTES = "NAT_NOTED_RUN", "notes.jsonl"
"""The environment variable that names the folder of a run, and the file beside what it keeps."""


class NotedEvaluator(TrainingEvaluator):
    def carry_out(self, trial: Trial) -> State:
        _note(trial, "begin")
        found = super().carry_out(trial)
        _note(trial, "end")
        return found


def _note(trial: Trial, what: str) -> None:
    """One write, whoever else writes."""
    if (run := os.environ.get(RUN)) is None:
        return
    kept = Path(run, FOLDER, f"{trial.name}.safetensors").exists()
    line = json.dumps({"name": trial.name, "what": what, "kept": kept, "process": os.getpid()}) + "\n"
    handle = os.open(f"{run}.{NOTES}", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(handle, line.encode())
    os.close(handle)


def again(run: Path) -> tuple[int, int]:
    """How many trainings were done more than once, each further time, as where a result is lost on its way; and how
    many were begun though the result was kept."""
    notes = read_journal(Path(f"{run}.{NOTES}"))
    ended = Counter(each["name"] for each in notes if each["what"] == "end")
    return ended.total() - len(ended), sum(each["kept"] for each in notes if each["what"] == "begin")


def environment(run: Path, plugins: Path) -> dict[str, str]:
    """Of a command and its workers. ``plugins``: a folder for what makes this module a plugin there."""
    installed = plugins / "noted-0.dist-info"
    installed.mkdir(parents=True, exist_ok=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: noted\nVersion: 0\n")
    (installed / "entry_points.txt").write_text(f"[nat_plugin]\nnoted = {__name__}\n")
    root = Path(__file__).parents[3]
    paths = [str(plugins), str(root), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {**os.environ, RUN: str(run), "PYTHONPATH": os.pathsep.join(paths)}


@hookimpl
def register_evaluators(register: Any) -> None:
    register("noted", NotedEvaluator)
