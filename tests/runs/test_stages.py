"""Seconds of the stages of a run, over all its processes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nat_plugin.runs import stages
from nat_plugin.runs.progress import Silent
from nat_plugin.runs.stages import STAGES, StageTimes


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    now = {"wall": 100.0, "cpu": 10.0}
    monkeypatch.setattr(stages, "_now", lambda: dict(now))
    return now


def spent(folder: Path) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = json.loads((folder / STAGES).read_text())
    return found


def test_a_run_that_is_resumed_counts_on(tmp_path: Path, clock: dict[str, float]) -> None:
    for go_on in (False, True):
        times = StageTimes(Silent(), tmp_path, go_on)
        clock["wall"] += 7  # of no stage
        times.phase("search", 2)
        clock["wall"] += 3
        clock["cpu"] += 2
        times.write()
        clock["wall"] += 5  # after the last time that it was written: lost with the process
    assert spent(tmp_path) == {"search": {"wall": 6.0, "cpu": 4.0}}
    times.phase("final training", 1)
    clock["wall"] += 1
    times.write()
    assert spent(tmp_path) == {"search": {"wall": 11.0, "cpu": 4.0}, "final training": {"wall": 1.0, "cpu": 0.0}}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"search": 1}', '{"search": {"wall": "x", "cpu": 1}}'])
def test_what_nobody_wrote_is_passed_over(tmp_path: Path, clock: dict[str, float], text: str) -> None:
    (tmp_path / STAGES).write_text(text)
    times = StageTimes(Silent(), tmp_path, True)
    times.phase("search", 1)
    clock["wall"] += 1
    times.write()
    assert spent(tmp_path) == {"search": {"wall": 1.0, "cpu": 0.0}}
