"""Policies for NAS-Bench-201 by the recipe that ships, for benchmarks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nat_plugin.plugins import plugins
from nat_plugin.policy.training.recipe import load_training
from nat_plugin.policy.training.record import is_training
from nat_plugin.policy.training.train import resume, start
from nat_plugin.runs.progress import Silent

RECIPE, SOURCE = "train-nasbench201", "nasbench201"
RULES = tuple(load_training(RECIPE, [], plugins()).recipe.rules)


def train(table: Path, folder: Path, seed: int, evaluations: int = 3000, encoder: str = "graph") -> dict[str, Any]:
    """Train into a folder, or go on with the training there; what its ``result.json`` holds."""
    if (folder / "result.json").exists():
        found: dict[str, Any] = json.loads((folder / "result.json").read_text())
        return found
    if is_training(folder):
        return resume(folder, plugins(), Silent())
    changes = {
        f"sources.{SOURCE}.table.path": table,
        f"sources.{SOURCE}.evaluations": evaluations,
        "seed": seed,
        "policy.encoder": encoder,
    }
    overrides = [f"{name}={value}" for name, value in changes.items()]
    return start(load_training(RECIPE, overrides, plugins()), folder, plugins(), Silent())
