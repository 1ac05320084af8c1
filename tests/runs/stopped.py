"""A small run that is stopped on its way, and what is refused when it is to go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nat_plugin.errors import NATError
from nat_plugin.plugins import plugins
from nat_plugin.runs.progress import Silent
from nat_plugin.runs.recipe import plan
from nat_plugin.runs.run import resume, start
from tests.interrupting import Stop

KEPT = ("result.json", "journal.jsonl", "architecture.txt", "report.md")


def recipe(data: Path, **changes: Any) -> dict[str, Any]:
    return {
        "source": "DARTS_V2",
        "network": {"channels": 4, "cells": 2},
        "strategy": {"name": "random"},
        "evaluator": {"name": "supernet", "batch": 32, "reward_images": 50, "data": {"name": "npz", "path": str(data)}},
        "search": {"rounds": 2, "proposals": 2, "steps": 2},
        "final": {"candidates": 1, "schedule": {"epochs": 2, "batch": 64, "cutout": 0, "auxiliary": 0}},
        "device": "cpu",
        "tracker": "tensorboard",
        **changes,
    }


def stopped_at(folder: Path, values: dict[str, Any], steps: int) -> Path:
    with pytest.raises(KeyboardInterrupt):
        start(plan(values, plugins()), folder, plugins(), Stop(steps))
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in KEPT}


def refused(folder: Path, **moved: str) -> str:
    """The one line, after which the folder is as it was."""
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(NATError) as caught:
        resume(folder, plugins(), Silent(), moved)
    assert {path: path.read_bytes() for path in before if path.is_file()} == {
        path: content for path, content in before.items() if path.is_file()
    }
    assert "\n" not in str(caught.value)
    return str(caught.value)
