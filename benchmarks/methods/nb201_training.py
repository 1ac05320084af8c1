"""Policies for NAS-Bench-201 by the recipe that ships, for benchmarks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nat_plugin.plugins import plugins
from nat_plugin.policy.training.recipe import load_training
from nat_plugin.policy.training.record import is_training
from nat_plugin.policy.training.train import resume, start
from nat_plugin.runs.progress import Silent

RECIPE, SOURCE = "train-nasbench201", "nasbench201"
RULES = tuple(load_training(RECIPE, [], plugins()).recipe.rules)


@dataclass(frozen=True)
class Wanted:
    """Trainings on a table, kept in a folder; ``changes`` of keys of the recipe, as KEY=VALUE."""

    table: Path
    work: Path
    encoder: str = "graph"
    evaluations: int = 3000
    changes: tuple[str, ...] = ()

    def folder(self, seed: int) -> Path:
        return self.work / f"{self.encoder}-{self.evaluations}-{seed}"


def train(wanted: Wanted, seed: int) -> dict[str, Any]:
    """Train, or go on with the training in the folder; what its ``result.json`` holds."""
    folder = wanted.folder(seed)
    if (folder / "result.json").exists():
        found: dict[str, Any] = json.loads((folder / "result.json").read_text())
        return found
    if is_training(folder):
        return resume(folder, plugins(), Silent())
    changes = {
        f"sources.{SOURCE}.table.path": wanted.table,
        f"sources.{SOURCE}.evaluations": wanted.evaluations,
        "seed": seed,
        "policy.encoder": wanted.encoder,
    }
    overrides = [*(f"{name}={value}" for name, value in changes.items()), *wanted.changes]
    return start(load_training(RECIPE, overrides, plugins()), folder, plugins(), Silent())
