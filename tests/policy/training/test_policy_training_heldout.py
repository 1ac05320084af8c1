"""What a report says of held-out networks is what their scores say."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from policy.samples import random_darts
from policy.training.conftest import CRITICS
from policy.training.test_policy_training_spaces import cells

from nat_plugin.errors import NATError
from nat_plugin.ir import Moves, find_rule, is_connected
from nat_plugin.policy.training.heldout import calibration, held_out_figures
from nat_plugin.policy.training.recipe import TrainingRecipe
from nat_plugin.policy.training.spaces import Reach, World
from nat_plugin.policy.training.tasks import HeldOutShare, NetworkPool, TrainingTask
from nat_plugin.policy.training.trainer import Trainer


def test_a_critic_that_is_right_as_often_as_it_says_has_no_error() -> None:
    said = np.array([0.1] * 10 + [0.75] * 4 + [1.0] * 2)
    true = np.array([True] + [False] * 9 + [True] * 3 + [False] + [True] * 2)
    found = calibration(said, true)
    assert found["error"] == pytest.approx(0.0)
    assert [each["pairs"] for each in found["bins"]] == [10, 4, 2]
    assert calibration(np.array([0.9] * 4), np.array([False] * 4))["error"] == pytest.approx(0.9)
    assert calibration(np.zeros(0), np.zeros(0, bool)) == {}


@pytest.mark.parametrize("rule", ["nat", "nat++"])
def test_reach_knows_what_moves_lead_to(rule: str) -> None:
    world, networks = World(), [network for network in cells() if is_connected(network)]
    space = world.space(networks[0])
    rows = np.array([space.row(network) for network in networks])
    for network in networks[::40]:
        moves = Moves(network, find_rule(rule))
        found = Reach.of(space, moves).leads_to(space.codes[rows])
        for other, leads in zip(networks, found.tolist(), strict=True):
            try:
                moves.choice(other)
            except NATError:
                assert not leads
            else:
                assert leads


@pytest.mark.parametrize("kind", CRITICS)
def test_where_every_measurement_fails_a_line_says_so(kind: str) -> None:
    world = World()
    pool = NetworkPool(tuple(cells()[:60]), lambda numbers: [None for _ in numbers], False, "nothing", "cells")
    recipe = TrainingRecipe.model_validate({
        "name": "a", "sources": {"a": {"table": {}}}, "policy": {"inputs": 4},
        "stages": [{"updates": 1, "critic": CRITICS[kind]}],
    })  # fmt: skip
    task = TrainingTask.of("a", 1.0, pool, world, HeldOutShare(0.3, 201), 20)
    trainer = Trainer(recipe, [task], world, torch.device("cpu"))
    with pytest.raises(NATError, match=f"a critic needs at least 2 scores: of {task.most} networks nearly all failed"):
        while True:
            trainer.advance(lambda line: None)


def test_where_nothing_is_held_out_nothing_is_reported_of_it() -> None:
    world, networks = World(), cells()[40:100]
    values = np.arange(len(networks), dtype=float)
    pool = NetworkPool(tuple(networks), lambda numbers: values[numbers].tolist(), False, "places", "cells")
    recipe = TrainingRecipe.model_validate({
        "name": "a", "sources": {"a": {"table": {}}}, "policy": {"inputs": 4, "batch": 2, "hidden": 4},
        "stages": [{"updates": 1, "critic": CRITICS["tasks"]}],
    })  # fmt: skip
    task = TrainingTask.of("a", 1.0, pool, world, HeldOutShare(0.0, 201), 20)
    trainer = Trainer(recipe, [task], world, torch.device("cpu"))
    while not trainer.finished:
        trainer.advance(lambda line: None)
    found = held_out_figures(trainer)["a"]
    assert found["inputs"] == found["critic"]["networks"] == 0
    assert all(row["known"] == 0 for row in found["gains"])


def test_tasks_of_different_spaces_are_reported_each_by_what_is_known() -> None:
    """Of cells of which all are known, how much of the best is reached; of a few of a large space nothing of that."""
    rng, world = np.random.default_rng(0), World()
    networks = {"all": cells(), "few": [random_darts(rng) for _ in range(24)]}
    tasks = []
    for name, own in networks.items():
        values = rng.normal(size=len(own))
        pool = NetworkPool(tuple(own), lambda numbers, values=values: values[numbers].tolist(), True, "noise", name)  # type: ignore[misc]
        tasks.append(TrainingTask.of(name, 1.0, pool, world, HeldOutShare(0.3, 201), 40))
    recipe = TrainingRecipe.model_validate({
        "name": "a",
        "sources": {name: {"table": {}} for name in networks},
        "stages": [{"updates": 2, "critic": CRITICS["tasks"]}],
        "policy": {"inputs": 16, "batch": 6, "hidden": 8, "samples": 2},
        "limits": {"macs": 0.5, "latency": 0.5, "devices": 2},
        "report": 12,
    })  # fmt: skip
    trainer = Trainer(recipe, tasks, world, torch.device("cpu"))
    while not trainer.finished:
        trainer.advance(lambda line: None)
    found = held_out_figures(trainer)
    assert all("best" in row for row in found["all"]["gains"] if row["known"] and row["rules"] == "nat")
    for row in found["all"]["gains"]:
        if "best" in row:
            assert row["gain"] <= row["best"] + 1e-9
    assert not any("best" in row for row in found["few"]["gains"])
    assert found["few"]["inputs"] > 0
    assert found["few"]["critic"]["reachable"] == 0
    assert found["few"]["critic"]["pairs"] > 0


NETWORKS = [*cells()[::7], *(network for network in cells() if not is_connected(network))][:60]


@settings(max_examples=10, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, len(NETWORKS) - 1), st.sampled_from([None, 0.0, 1.0, 1.0, 2.5])),
        min_size=6,
        max_size=14,
    ),
    share=st.sampled_from([0.0, 0.1, 0.3, 0.9]),
    known=st.booleans(),
    rules=st.sampled_from([["nat"], ["nat++", "nat"]]),
    limit=st.sampled_from([{}, {"macs": 1.0}, {"latency": 0.5, "devices": 1}]),
)
def test_however_few_are_held_out_there_is_a_report(
    rows: list[tuple[int, float | None]], share: float, known: bool, rules: list[str], limit: dict[str, float]
) -> None:
    """Of tables with rows that are doubled, failed, dead or all alike; every number in it is one."""
    world = World()
    pool = NetworkPool(
        tuple(NETWORKS[at] for at, _ in rows), lambda numbers: [rows[at][1] for at in numbers], known, "few", "cells"
    )
    recipe = TrainingRecipe.model_validate({
        "name": "a", "sources": {"a": {"table": {}}}, "rules": rules, "limits": {"macs": 0.0, **limit},
        "stages": [{"updates": 1, "critic": CRITICS["tasks"] | {"steps": 2}}],
        "policy": {"inputs": 4, "batch": 2, "hidden": 4, "rounds": 1, "samples": 2},
    })  # fmt: skip
    try:
        trainer = Trainer(
            recipe, [TrainingTask.of("a", 1.0, pool, world, HeldOutShare(share, 201), None)], world, torch.device("cpu")
        )
        while not trainer.finished:
            trainer.advance(lambda line: None)
    except NATError as error:  # nothing to learn from, or all failed
        assert "\n" not in str(error)
        return
    trainer.settle()
    found = held_out_figures(trainer)["a"]
    json.dumps(found, allow_nan=False)
    assert found["inputs"] <= len(rows)
    for row in found["gains"]:
        assert row["known"] <= row["inputs"] <= found["inputs"]
