"""What a critic is given to learn from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from nat_nasbench.nb201 import from_digits
from policy.training.conftest import CRITICS

from nat_plugin.ir import Network, NetworkSize, canonical, key
from nat_plugin.plugins import plugins
from nat_plugin.policy.graphs import build_graph
from nat_plugin.policy.training.critics import TaskCritic
from nat_plugin.policy.training.learn_critic import LearningCurve, MeasuredTask
from nat_plugin.policy.training.recipe import TrainingRecipe
from nat_plugin.policy.training.spaces import World
from nat_plugin.policy.training.tasks import HeldOutShare, NetworkPool, TrainingTask
from nat_plugin.policy.training.trainer import Trainer

SAME = "100030", "300010"
"""A convolution after a skip, and before one, of the input of the cell."""
DEAD = "103030"
"""The first of them, and a convolution of which nothing uses the output."""


def _cell(digits: str) -> Network:
    return plugins().adapters["nasbench201"].read(from_digits(digits), NetworkSize())


def test_it_learns_every_way_in_which_a_network_is_written_and_nothing_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    networks = [_cell(digits) for digits in (*SAME, DEAD, "000400", "000300", "333333")]
    values = np.arange(len(networks), dtype=float)
    pool = NetworkPool(tuple(networks), lambda numbers: values[numbers].tolist(), True, "values", "cells")
    recipe = TrainingRecipe.model_validate({
        "name": "a", "sources": {"a": {"table": {}}}, "policy": {"inputs": 4, "batch": 2, "hidden": 4},
        "stages": [{"updates": 1, "critic": CRITICS["tasks"]}],
    })  # fmt: skip
    world, learned = World(), list[MeasuredTask]()
    fit = TaskCritic.fit

    def recorded(self: TaskCritic, tasks: Sequence[MeasuredTask], *more: Any) -> LearningCurve:
        learned.extend(tasks)
        return fit(self, tasks, *more)

    monkeypatch.setattr(TaskCritic, "fit", recorded)
    task = TrainingTask.of("a", 1.0, pool, world, HeldOutShare(0.0, 201), None)
    trainer = Trainer(recipe, [task], world, torch.device("cpu"))
    while trainer.judge is None:
        trainer.advance(lambda line: None)
    [found] = learned
    by_score = dict(zip(found.scores.tolist(), found.graphs, strict=True))
    assert key(networks[0]) == key(networks[1]) == key(networks[2])
    for score, network in enumerate(networks):
        own = build_graph(canonical(network))
        for name in ("edge_op", "source", "target"):
            assert np.array_equal(getattr(by_score[score], name), getattr(own, name)), (score, name)
    assert by_score[0] is by_score[2]
    assert by_score[0] is not by_score[1]
