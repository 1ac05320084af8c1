"""The critics of a training are fitted by workers with the same bytes as by the training itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nat_plugin.execution.base import ExecutorSettings
from nat_plugin.execution.workers import Workers, in_turn_here
from nat_plugin.ir import NetworkSize
from nat_plugin.plugins import plugins
from nat_plugin.policy.graphs import build_graph
from nat_plugin.policy.training import doubting
from nat_plugin.policy.training.critics import TaskCritic
from nat_plugin.policy.training.learn_critic import MeasuredTask
from nat_plugin.policy.training.recipe import CriticSettings

SETTINGS = CriticSettings(members=1, hidden=4, rounds=1, width=2, steps=3, doubt_steps=2, tasks=2, batch=8)


def measured(name: str, space: str, seed: int) -> MeasuredTask:
    adapter = plugins().adapters["nasbench201"]
    ops = ("nor_conv_3x3", "skip_connect", "avg_pool_3x3")
    cells = (f"|{a}~0|+|{b}~0|{a}~1|+|{a}~0|{b}~1|{a}~2|" for a in ops for b in ops)
    graphs = [build_graph(adapter.read(cell, NetworkSize())) for cell in cells]
    return MeasuredTask(name, graphs, np.random.default_rng(seed).random(len(graphs)), space=space)


def test_critics_that_leave_out_a_space_or_a_task_are_fitted_by_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doubting, "TOLD", 5)
    tasks = [measured("a", "one", 0), measured("b", "one", 1), measured("c", "two", 2)]
    asked: list[int] = []

    def counted(function: Callable[..., Any], given: Sequence[tuple[Any, ...]]) -> Iterator[Any]:
        asked.append(len(given))
        return workers.in_turn(function, given)

    found = []
    with Workers("local", ExecutorSettings(workers=2), tmp_path, plugins()) as workers:
        for in_turn in (in_turn_here, counted):
            critic = TaskCritic(SETTINGS, 0, torch.device("cpu"))
            critic.fit(tasks, in_turn)
            found.append((critic.tensors(), critic.config()))
    assert asked == [1 + 2 + 2]  # itself, without a task that has a fellow, without a space
    (here, config), (there, other) = found
    assert config == other
    assert here.keys() == there.keys()
    assert all(torch.equal(here[name], there[name]) for name in here)
