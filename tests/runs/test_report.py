"""What a run says of its result: what its intervals are about, and a verdict only where there can be one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nat_plugin.plugins import plugins
from nat_plugin.runs.progress import Silent
from nat_plugin.runs.recipe import plan
from nat_plugin.runs.report import table
from nat_plugin.runs.run import start

RECIPE: dict[str, Any] = {
    "source": "DARTS_V2",
    "network": {"channels": 4, "cells": 2},
    "rules": "nat++",
    "budget": {"macs": "0.96x"},
    "strategy": {"name": "random"},
    "evaluator": {"name": "supernet", "batch": 32, "reward_images": 50, "data": {"name": "digits", "limit": 300}},
    "search": {"rounds": 1, "proposals": 4, "steps": 0},
    "final": {"candidates": 1, "schedule": {"epochs": 1, "lr": 0.1, "cutout": 0, "auxiliary": 0, "drop_path": 0}},
    "threads": 1,
    "device": "cpu",
}


def run(folder: Path, **changes: Any) -> tuple[dict[str, Any], str]:
    """The result, and what is said of it, in report.md and at the end alike."""
    result = start(plan({**RECIPE, **changes}, plugins()), folder, plugins(), Silent())
    assert json.loads((folder / "result.json").read_text()) == result
    said = str(table(result).caption)
    assert said in (folder / "report.md").read_text()
    return result, said


def final(**changes: Any) -> dict[str, Any]:
    return {**RECIPE["final"], **changes}


def schedule(**changes: Any) -> dict[str, Any]:
    return {**RECIPE["final"]["schedule"], **changes}


def test_one_training_of_each_gives_no_verdict_on_architectures(tmp_path: Path) -> None:
    result, said = run(tmp_path / "run", final=final(schedule=schedule(epochs=8, batch=16)))
    assert result["changed"]
    assert result["trainings"] == 1
    assert (result["verdict"], result["beyond_noise"]) == ("none", None)
    assert result["verdict_reason"] == "the spread between trainings is not known"
    assert "these two trained networks" in result["interval_covers"]
    assert "No verdict on the architectures: the spread between trainings is not known; `final.seeds: 3`" in said
    assert "for these two trained networks, on further images like these; not another training" in said


def test_several_trainings_give_a_verdict_that_covers_further_ones(tmp_path: Path) -> None:
    result, said = run(tmp_path / "run", final=final(seeds=2, schedule=schedule(epochs=8, batch=16)))
    span = result["test_difference"]
    word = "better" if span["low"] > 0 else "worse" if span["high"] < 0 else "within noise"
    assert result["verdict"] == word
    assert result["beyond_noise"] == (word != "within noise")
    assert result["verdict_reason"] == ""
    assert word in said
    assert "for further trainings like these, on further images like these" in said


def test_networks_at_chance_level_give_no_verdict(tmp_path: Path) -> None:
    result, said = run(tmp_path / "run", final=final(seeds=2, schedule=schedule(lr=1e-6)))
    assert (result["verdict"], result["beyond_noise"]) == ("none", None)
    assert "neither network can be told from guessing, which gets 1" in said
    assert "final.seeds" not in said


@pytest.mark.parametrize(
    ("evaluator", "about"),
    [
        (RECIPE["evaluator"], "these two networks with these shared weights"),
        (
            {
                "name": "training",
                "data": {"name": "digits", "limit": 300},
                "schedule": schedule(epochs=8, batch=16),
            },
            "these two trained networks",
        ),
    ],
)
def test_without_a_final_stage_there_is_no_verdict_either(
    evaluator: dict[str, Any], about: str, tmp_path: Path
) -> None:
    result, said = run(tmp_path / "run", final=None, evaluator=evaluator)
    assert (result["verdict"], result["beyond_noise"], result["trainings"]) == ("none", None, None)
    assert result["verdict_reason"]
    assert f"for {about}, on further images like these; not another training" in said


def test_where_the_result_is_the_input_there_is_nothing_to_judge(tmp_path: Path) -> None:
    result, said = run(tmp_path / "run", budget={}, final=final(candidates=1), strategy={"name": "identity"})
    assert not result["changed"]
    assert (result["verdict"], result["verdict_reason"]) == ("none", "the result is the input")
    assert "the result is the input" in said
