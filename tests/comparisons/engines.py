"""A comparison as small as one can be that shares warm weights, for every executor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nat_plugin.comparisons.compare import compare
from nat_plugin.comparisons.recipe import plan_comparison
from nat_plugin.plugins import plugins
from nat_plugin.runs.progress import Silent

SMALL: dict[str, Any] = {
    "sources": ["DARTS_V2", "DARTS_V1"],
    "network": {"channels": 4, "cells": 2},
    "evaluator": {"name": "supernet", "batch": 32, "reward_images": None, "data": {"name": "digits", "limit": 200}},
    "strategies": {"random": {}, "hill_climb": {}},
    "warmup": 2,
    "queries": 2,
    "seeds": 1,
    "threads": 1,
    "device": "cpu",
}
KEPT = ("comparison.json", "comparison.md", "points.csv")


def run(folder: Path, values: dict[str, Any]) -> dict[str, Any]:
    return compare(plan_comparison(values, plugins()), folder, plugins(), Silent())


def contents(folder: Path) -> dict[str, bytes]:
    paths = [*(folder / name for name in KEPT), *sorted((folder / "searches").iterdir())]
    return {path.name: path.read_bytes() for path in paths}
