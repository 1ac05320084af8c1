"""A finished run, as small as one can be, whose folder reports are made of."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from nat_plugin.plugins import plugins
from nat_plugin.runs.progress import Silent
from nat_plugin.runs.recipe import plan
from nat_plugin.runs.run import start

RECIPE: dict[str, Any] = {
    "source": "DARTS_V2",
    "network": {"channels": 4, "cells": 2},
    "rules": "nat++",
    "budget": {"macs": "0.9x"},  # so that the result is not the input
    "strategy": {"name": "random"},
    "evaluator": {"name": "supernet", "batch": 32, "reward_images": 50, "data": {"name": "digits", "limit": 200}},
    "search": {"warmup": 2, "rounds": 2, "proposals": 3, "steps": 1},
    "final": {
        "candidates": 1,
        "seeds": 2,
        "network": {"channels": 6, "cells": 2},
        "schedule": {"epochs": 2, "cutout": 0, "auxiliary": 0},
    },
    "device": "cpu",
    "threads": 1,
}


@pytest.fixture(scope="session")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reports") / "ended"
    start(plan(RECIPE, plugins()), folder, plugins(), Silent())
    return folder


@pytest.fixture
def run(ended: Path, tmp_path: Path) -> Path:
    """A copy, without a report."""
    return Path(shutil.copytree(ended, tmp_path / "run", ignore=shutil.ignore_patterns("report.html")))
