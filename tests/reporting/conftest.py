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
from tests import small_run

RECIPE: dict[str, Any] = small_run.RECIPE | {
    "search": {"warmup": 2, "rounds": 2, "proposals": 3, "steps": 1},
    "final": small_run.RECIPE["final"] | {"schedule": {"epochs": 2, "cutout": 0, "auxiliary": 0}},
}
"""With curves to draw."""


@pytest.fixture(scope="session")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reports") / "ended"
    start(plan(RECIPE, plugins()), folder, plugins(), Silent())
    return folder


@pytest.fixture
def run(ended: Path, tmp_path: Path) -> Path:
    """A copy, without a report."""
    return Path(shutil.copytree(ended, tmp_path / "run", ignore=shutil.ignore_patterns("report.html")))
