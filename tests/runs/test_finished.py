"""What a run ended with, exported from its folder: the networks that were tested, with the weights that they had."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nat_plugin.data import DataSettings, eval_batches, load
from nat_plugin.plugins import plugins
from nat_plugin.runs.finished import read_finished
from nat_plugin.runs.progress import Silent
from nat_plugin.runs.recipe import plan
from nat_plugin.runs.run import start
from tests.command_line import Nat

RECIPE: dict[str, Any] = {
    "source": "DARTS_V2",
    "network": {"channels": 4, "cells": 3},
    "rules": "nat++",
    "budget": {"macs": "0.9x"},  # so that the result is not the input
    "strategy": {"name": "random"},
    "evaluator": {"name": "supernet", "batch": 32, "reward_images": 50, "data": {"name": "digits", "limit": 400}},
    "search": {"warmup": 0, "rounds": 1, "proposals": 3, "steps": 1},
    "final": {
        "candidates": 1,
        "seeds": 2,
        "network": {"channels": 6, "cells": 3},
        "schedule": {"epochs": 1, "cutout": 0, "auxiliary": 0},
    },
    "device": "cpu",
    "threads": 1,
}


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "ended"
    start(plan(RECIPE, plugins()), folder, plugins(), Silent())
    return folder


def accuracy(folder: Path) -> float:
    """On the test split, of the model that was exported there."""
    scope: dict[str, Any] = {"__name__": "model"}
    exec((folder / "model.py").read_text(), scope)  # what was just written
    model = scope["load"](folder / "weights.pt")
    data = load(DataSettings.model_validate(RECIPE["evaluator"]["data"]), "cpu")
    with torch.no_grad():
        hits = [model(x).argmax(1) == y for x, y in eval_batches(data, data.test, 100)]
    return float(torch.cat(hits).double().mean())


def test_the_exported_result_is_as_accurate_as_the_report_says(ended: Path, nat: Nat, tmp_path: Path) -> None:
    result = json.loads((ended / "result.json").read_text())["result"]
    said = nat("export", str(ended), "-o", str(tmp_path / "0"))
    assert said.out == f"{tmp_path / '0'}: model.py and weights.pt\n", said.err
    other = ended / "weights" / f"{result['key']}-seed1.safetensors"
    assert nat("export", str(ended), "-o", str(tmp_path / "1"), "--weights", str(other)).status == 0
    assert f"{result['params']:,} parameters" in (tmp_path / "0" / "model.py").read_text()
    assert np.mean([accuracy(tmp_path / seed) for seed in "01"]) == pytest.approx(result["test"]["value"])


def test_a_run_that_has_not_ended_says_how_to_go_on(ended: Path, nat: Nat, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes((ended / "run.json").read_bytes())
    said = nat("export", str(tmp_path), "-o", str(tmp_path / "model"))
    assert (said.status, said.err.count("\n")) == (2, 1)
    assert f"the run has not ended: `nat resume {tmp_path}` goes on with it" in said.err


def test_weights_that_were_changed_or_lost_are_not_exported(ended: Path, nat: Nat, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(ended, tmp_path / "run"))
    path = folder / "weights" / f"{json.loads((folder / 'result.json').read_text())['result']['key']}-seed0.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    for _ in range(2):
        said = nat("export", str(folder), "-o", str(tmp_path / "model"))
        assert said.status == 2
        assert f"{path}: these weights were lost or changed since they were trained" in said.err
        path.unlink(missing_ok=True)
    assert not (tmp_path / "model").exists()


def test_the_size_is_that_of_the_run(ended: Path, nat: Nat, tmp_path: Path) -> None:
    said = nat("export", str(ended), "-o", str(tmp_path), "--channels", "8")
    assert said.status == 2
    assert "format and size are those of the run" in said.err
    assert not list(tmp_path.iterdir())
    assert read_finished(ended, plugins()).network.placements[0].channels == 6
