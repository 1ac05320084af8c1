"""Comparisons of many units by workers: every search once, told as it comes, as one process finds it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nat_plugin.comparisons import searching
from nat_plugin.comparisons.compare import compare
from nat_plugin.comparisons.recipe import plan_comparison
from nat_plugin.reporting.report_file import write_report
from nat_plugin.runs.progress import Reporter, Silent
from tests.comparisons.engines import contents
from tests.evaluators.table.tables import combinations, genotype, own_table
from tests.runs.finding import THEIRS

SEEDS = 6


class Steps(Reporter):
    """What is said of the progress."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.notes: list[str] = []

    def phase(self, name: str, total: int, done: int = 0) -> None:
        self.steps += [total, done]

    def step(self, done: int, note: str = "") -> None:
        self.steps.append(done)

    def note(self, note: str) -> None:
        self.notes.append(note)


def recipe(folder: Path) -> dict[str, Any]:
    cells = combinations(30)
    path = own_table(folder / "mine.csv", cells)
    table = {"path": str(path), "adapter": "darts", "metric": "accuracy", "network_size": {"channels": 4, "cells": 3}}
    return {
        "sources": [genotype(each) for each in cells[:2]],
        "network": {"channels": 4, "cells": 3},
        "evaluator": {"name": "table", **table},
        "strategies": {"random": {}},
        "queries": 1,
        "regret": False,
        "seeds": SEEDS,
        "threads": 1,
    }


def test_many_units_by_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "plugins", lambda: THEIRS)
    given, steps = recipe(tmp_path), Steps()
    compare(plan_comparison(given, THEIRS), tmp_path / "alone", THEIRS, Silent())
    shuffled = {**given, "executor": {"name": "shuffled", "workers": 8}}
    compare(plan_comparison(shuffled, THEIRS), tmp_path / "workers", THEIRS, steps)
    assert contents(tmp_path / "workers") == contents(tmp_path / "alone")
    total, *done = steps.steps
    assert done == list(range(total + 1))
    assert total == 2 * SEEDS
    assert steps.notes[-1].endswith(f"{total} tasks done")
    page = write_report(tmp_path / "workers", lambda _: None).read_text()
    assert "What each device did" in page
