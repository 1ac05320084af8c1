"""What a run says of where it is: a line now and then, and within a step as well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nat_plugin.plugins import plugins
from nat_plugin.runs.progress import Lines, Silent
from nat_plugin.runs.recipe import plan
from nat_plugin.runs.run import start

ONE_EPOCH = {"epochs": 1, "batch": 50, "cutout": 0, "auxiliary": 0, "drop_path": 0}
RECIPE: dict[str, Any] = {
    "source": "DARTS_V2",
    "network": {"channels": 4, "cells": 2},
    "strategy": {"name": "random"},
    "evaluator": {"name": "training", "data": {"name": "digits", "limit": 200}, "schedule": ONE_EPOCH | {"epochs": 2}},
    "search": {"rounds": 1, "proposals": 2, "steps": 0},
    "final": {"candidates": 1, "seeds": 2, "schedule": ONE_EPOCH | {"epochs": 3}},
    "threads": 1,
    "device": "cpu",
}


def test_lines_come_at_the_ends_of_a_phase_and_not_too_often(capsys: pytest.CaptureFixture[str]) -> None:
    for every, expected in ((1e9, ["a 0/3", "a 3/3"]), (0.0, ["a 0/3", "a 0/3 hm", "a 1/3 b", "a 1/3 c", "a 3/3"])):
        lines = Lines(every)
        lines.phase("a", 3)
        lines.note("hm")
        lines.step(1, "b")
        lines.note("c")
        lines.step(3)
        assert capsys.readouterr().err.splitlines() == expected


class Listening(Silent):
    def __init__(self) -> None:
        self.now, self.notes, self.steps = "", [], []  # type: ignore[var-annotated]

    def phase(self, name: str, total: int, done: int = 0) -> None:
        self.now, self.total = name, total

    def step(self, done: int, note: str = "") -> None:
        self.steps.append((self.now, f"{done}/{self.total}", note))

    def note(self, note: str) -> None:
        self.notes.append((self.now, note))


def test_every_epoch_of_every_training_is_heard_of(tmp_path: Path) -> None:
    heard = Listening()
    start(plan(RECIPE, plugins()), tmp_path / "run", plugins(), heard)
    assert {phase for phase, _ in heard.notes} == {"search"}
    epochs = [note.partition(":")[0] for _, note in heard.notes]
    assert epochs == [f"network {network}, epoch {epoch}/2" for network in (1, 2, 3) for epoch in (1, 2)]
    final = [(where, note) for phase, where, note in heard.steps if phase == "final training"]
    assert [where for where, _ in final] == [f"{number}/12" for number in range(1, 13)]
    assert final[0][1].startswith("the input, training 1 of 2, epoch 1/3: loss ")
    assert final[11][1].startswith("proposal 1 of 1, training 2 of 2, epoch 3/3: loss ")
    assert "% in training" in final[0][1]
