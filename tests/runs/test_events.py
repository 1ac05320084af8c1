"""TensorBoard has every round and every epoch once, however often a run was interrupted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from nat_plugin.plugins import plugins
from nat_plugin.runs.events import Events
from nat_plugin.runs.recipe import plan
from nat_plugin.runs.run import resume, start
from tests.interrupting import Stop

RECIPE: dict[str, Any] = {
    "source": "DARTS_V2",
    "network": {"channels": 4, "cells": 2},
    "strategy": {"name": "random"},
    "evaluator": {"name": "supernet", "batch": 32, "reward_images": 50, "data": {"name": "digits", "limit": 200}},
    "search": {"rounds": 5, "proposals": 2, "steps": 2},
    "final": {"candidates": 1, "schedule": {"epochs": 3, "batch": 64, "cutout": 0, "auxiliary": 0}},
    "device": "cpu",
}


def steps(folder: Path, name: str) -> list[int]:
    """As TensorBoard shows them."""
    found = EventAccumulator(str(folder))
    found.Reload()
    return [event.step for event in found.Scalars(name)]


def test_every_round_and_epoch_is_there_once_after_many_interruptions(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        start(plan(RECIPE, plugins()), folder, plugins(), Stop(2))
    for _ in range(50):
        try:
            resume(folder, plugins(), Stop(2))
            break
        except KeyboardInterrupt:
            continue
    assert steps(folder / "events", "gain/mean") == [1, 2, 3, 4, 5]
    trainings = list((folder / "events" / "final").iterdir())
    assert len(trainings) == 2
    assert all(steps(each, "loss") == [1, 2, 3] for each in trainings)


def test_what_was_written_is_there_without_an_end(tmp_path: Path) -> None:
    first = Events(tmp_path, 1)
    for step in (1, 2, 3):
        first.add("loss", 0.5, step)
    second = Events(tmp_path, 3)  # the first was killed before its checkpoint of step 3
    second.add("loss", 0.25, 3)
    assert steps(tmp_path, "loss") == [1, 2, 3]


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("kept")
    (tmp_path / "events").mkdir()
    (tmp_path / "events" / "events.out.tfevents.000001.nat").symlink_to(precious)
    Events(tmp_path / "events", 1).add("loss", 0.5, 1)
    assert precious.read_text() == "kept"


def test_a_full_disk_ends_in_one_line(tmp_path: Path) -> None:
    program = (
        "import resource, sys; from pathlib import Path\n"
        "from nat_plugin.runs.events import Events\n"
        "from nat_plugin.errors import NATError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))\n"
        "try:\n"
        "    events = Events(Path(sys.argv[1]), 1)\n"
        "    for step in range(100): events.add('loss', 0.5, step)\n"
        "except NATError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.endswith(": cannot write: File too large; nothing written earlier is lost\n")
    assert len(done.stdout.splitlines()) == 1
    assert "Traceback" not in done.stderr
