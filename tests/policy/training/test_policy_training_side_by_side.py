"""The critics of a training are fitted by workers with the same bytes as by the training itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nat_nasbench.nb201 import from_digits

from nat_plugin.errors import NATError
from nat_plugin.execution.base import ExecutorSettings
from nat_plugin.execution.workers import in_turn_here
from nat_plugin.ir import NetworkSize
from nat_plugin.plugins import plugins
from nat_plugin.policy.graphs import build_graph
from nat_plugin.policy.training import doubting
from nat_plugin.policy.training.critics import TaskCritic
from nat_plugin.policy.training.learn_critic import MeasuredTask
from nat_plugin.policy.training.recipe import CriticSettings
from nat_plugin.runs.folder import read_journal
from nat_plugin.runs.worker_files import KeptWorkers
from tests.execution.engines import ENGINES
from tests.policy.training.conftest import contents, small, train

SETTINGS = CriticSettings(members=1, hidden=4, rounds=1, width=2, steps=3, doubt_steps=2, tasks=2, batch=8)


def measured(name: str, space: str, seed: int) -> MeasuredTask:
    """Of ops that an adapter registers, which a worker does not know by itself."""
    adapter = plugins().adapters["nasbench-macro"]
    graphs = [build_graph(adapter.read(f"{a}{b}111111", NetworkSize())) for a in "012" for b in "012"]
    return MeasuredTask(name, graphs, np.random.default_rng(seed).random(len(graphs)), space=space)


def test_critics_that_leave_out_a_space_or_a_task_are_fitted_by_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doubting, "TOLD", 5)
    tasks = [measured("a", "one", 0), measured("b", "one", 1), measured("c", "two", 2)]
    asked: list[int] = []

    def counted(function: Callable[..., Any], given: Sequence[tuple[Any, ...]], names: Sequence[str]) -> Iterator[Any]:
        asked.append(len(given))
        return workers.in_turn(function, given, names)

    found = []
    with KeptWorkers("local", ExecutorSettings(workers=2), tmp_path, plugins(), "a run") as workers:
        for in_turn in (in_turn_here, counted):
            critic = TaskCritic(SETTINGS, 0, torch.device("cpu"))
            critic.fit(tasks, in_turn)
            found.append((critic.tensors(), critic.config()))
    assert asked == [1 + 2 + 2]  # itself, without a task that has a fellow, without a space
    (here, config), (there, other) = found
    assert config == other
    assert here.keys() == there.keys()
    assert all(torch.equal(here[name], there[name]) for name in here)


def test_critics_that_were_fitted_before_a_kill_are_not_fitted_again(tmp_path: Path) -> None:
    """A part is lost once all others are done; then only that is left."""
    (tmp_path / "marks").mkdir()
    names = ["one", "two", "three"]
    for again in (False, True):
        given = [(str(tmp_path / "marks"), name, again) for name in names]
        workers = KeptWorkers("local", ExecutorSettings(workers=2, retries=0), tmp_path, plugins(), "a run")
        with (
            nullcontext()
            if again
            else pytest.raises(NATError, match=r"^part 2 of 3: it raised .*; the others are kept"),
            workers,
        ):
            assert [each["x"] for each in workers.in_turn(part, given, names)] == names
    assert sorted(path.name for path in (tmp_path / "marks").iterdir()) == ["one", "three", "two again"]


def part(marks: str, name: str, again: bool) -> dict[str, Any]:
    if name == "two" and not again:
        raise OSError("no disk")
    Path(marks, f"{name} again" if again else name).touch()
    return {"x": name}


SCHEDULE = {"epochs": 1, "batch": 50, "cutout": 0, "auxiliary": 0}


def trained(table: Path, executor: dict[str, Any]) -> dict[str, Any]:
    """A training whose source has every network trained."""
    source = {
        "evaluator": {"name": "training", "schedule": SCHEDULE, "data": {"name": "digits", "limit": 100}},
        "networks": [from_digits("113333")],
        "network": {"channels": 2, "cells": 3},
        "moves": 9,
        "adapter": "nasbench201",
        "held_out": 0.3,
    }
    return small(table, sources={"scored": source}, executor=executor)


@pytest.fixture(scope="module")
def trained_alone(small_table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "alone"
    train(folder, trained(small_table, {"name": "local"}))
    return folder


@pytest.mark.parametrize("engine", [ENGINES[0], ENGINES[2]])  # each job of submitit would import everything
def test_networks_of_a_source_are_trained_by_workers(
    engine: dict[str, Any], small_table: Path, trained_alone: Path, tmp_path: Path
) -> None:
    train(tmp_path / "t", trained(small_table, engine))
    assert contents(tmp_path / "t") == contents(trained_alone)
    tasks = sum(each["tasks"] for each in json.loads((tmp_path / "t" / "workers.json").read_text()).values())
    measured = [line for line in read_journal(trained_alone / "journal.jsonl") if "network" in line]
    assert tasks >= len(measured) > 2
    assert not (tmp_path / "t" / "trials").exists()
