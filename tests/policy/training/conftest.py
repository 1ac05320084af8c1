"""A made-up table of small cells, and trainings on it that take seconds."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.data.made_up import percent
from nat_plugin.plugins import plugins
from nat_plugin.policy.training.recipe import plan_training
from nat_plugin.policy.training.train import start
from nat_plugin.runs.progress import Reporter, Silent

KEPT = ("policy.safetensors", "journal.jsonl")
CRITICS: dict[str, dict[str, Any]] = {
    "ensemble": {"kind": "ensemble", "hidden": 8, "rounds": 1, "epochs": 1, "least_steps": 8, "batch": 32},
    "tasks": {"kind": "tasks", "hidden": 8, "rounds": 1, "width": 4, "steps": 8, "batch": 32},
}
EDGES = ("01", "01", "013", "013", "013", "013")
"""The digits of the ops that each edge of a cell of the table may have: skips, nothing, convolutions 3x3. Under the
rules ``nat`` no move leads out of it."""


@pytest.fixture(scope="session")
def small_table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All 324 cells of ``EDGES``."""
    path = tmp_path_factory.mktemp("tables") / "small.csv"
    lines = ["ops,c10_val12,c10_test12"]
    for cell in map("".join, itertools.product(*EDGES)):
        lines.append(f"{cell},{percent(cell, 'one')},{percent(cell, 'two')}")
    path.write_text("\n".join(lines) + "\n")
    return path


def small(table: Path, objective: str = "exact", kind: str = "tasks", **changes: Any) -> dict[str, Any]:
    """A recipe of a training that takes a second."""
    recipe: dict[str, Any] = {
        "name": "small",
        "sources": {"cells": {"table": {"path": str(table)}, "held_out": 0.3, "evaluations": 100}},
        "rules": ["nat"],
        "limits": {"macs": 0.2, "params": 0.1, "latency": 0.2, "devices": 3},
        "stages": [
            {"evaluations": 0.5, "updates": 2, "critic": CRITICS[kind]},
            {"updates": 8, "temperature": [1.0, 0.05], "critic": CRITICS[kind]},
        ],
        "policy": {"objective": objective, "hidden": 8, "rounds": 2, "inputs": 40, "batch": 12, "samples": 4,
                   "lr": 2e-2, "warmup": 3, "proposals": 4},
        "report": 30,
        "checkpoint": 3,
        "threads": 1,
        "device": "cpu",
    }  # fmt: skip
    return recipe | changes


def train(folder: Path, recipe: dict[str, Any], reporter: Reporter | None = None) -> dict[str, Any]:
    return start(plan_training(recipe, plugins()), folder, plugins(), reporter or Silent())


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in KEPT}


def undisturbed(recipe: dict[str, Any], folder: Path) -> Path:
    """The folder of a whole training, which takes the number of threads from its recipe."""
    threads = torch.get_num_threads()
    train(folder, recipe)
    torch.set_num_threads(threads)
    return folder


@pytest.fixture(scope="session")
def ended(small_table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of ``small(small_table)``."""
    return undisturbed(small(small_table), tmp_path_factory.mktemp("trainings") / "ended")
