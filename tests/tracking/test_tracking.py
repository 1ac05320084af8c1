"""A tracker has every round and every epoch once, however often a run was interrupted; the journal needs none."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from nat_plugin.errors import NATError, NATErrors
from nat_plugin.plugins import plugins
from nat_plugin.runs.recipe import plan
from nat_plugin.runs.run import resume, start
from nat_plugin.tracking.mlflow import MLflow
from nat_plugin.tracking.tensorboard import Events
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


def interrupted_often(folder: Path, tracker: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        start(plan({**RECIPE, "tracker": tracker}, plugins()), folder, plugins(), Stop(2))
    for _ in range(50):
        try:
            resume(folder, plugins(), Stop(2))
            break
        except KeyboardInterrupt:
            continue


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    """MLflow with a folder of files."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "store").as_uri())
    return MlflowClient()


def test_tensorboard_has_every_round_and_epoch_once_after_many_interruptions(tmp_path: Path) -> None:
    interrupted_often(tmp_path / "run", "tensorboard")
    events = tmp_path / "run" / "events"
    assert steps(events / "search", "gain/mean") == [1, 2, 3, 4, 5]
    trainings = list((events / "final").iterdir())
    assert len(trainings) == 2
    assert all(steps(each, "loss") == [1, 2, 3] for each in trainings)


def test_mlflow_has_every_round_and_epoch_once_after_many_interruptions(tmp_path: Path, store: MlflowClient) -> None:
    interrupted_often(tmp_path / "run", "mlflow")
    runs = store.search_runs([store.get_experiment_by_name("nat-plugin").experiment_id])
    parts = {each.data.tags["nat.part"]: each.info for each in runs}
    assert len(parts) == len(runs) == 3
    assert len({each.data.tags["nat.run"] for each in runs}) == 1
    for part, info in parts.items():
        name, count = ("gain/mean", 5) if part == "search" else ("loss", 3)
        assert [each.step for each in store.get_metric_history(info.run_id, name)] == list(range(1, count + 1))
        assert info.status == "FINISHED"
    journal = [json.loads(line) for line in (tmp_path / "run" / "journal.jsonl").read_text().splitlines()]
    for line in (each for each in journal if each["stage"] == "final"):
        info = parts[f"final/{line['network']}-seed{line['seed']}"]
        values = {each.step: each.value for each in store.get_metric_history(info.run_id, "loss")}
        assert values[line["epoch"]] == line["loss"]
    assert not (tmp_path / "run" / "events").exists()


def test_what_mlflow_misses_is_said_once_and_the_journal_has_it(
    tmp_path: Path, store: MlflowClient, capsys: pytest.CaptureFixture[str]
) -> None:
    track = MLflow("run", "id").part("search", 1)
    track.add("loss", 0.5, 1)
    (tmp_path / "store").rename(tmp_path / "gone")
    for step in (2, 3):
        track.add("loss", 0.25, step)
    track.close()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("tracker: MLflow failed (")


def test_where_mlflow_cannot_keep_anything_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nowhere://at-all")
    with pytest.raises(NATError, match=r"^tracker: MLflow cannot be used here \(.*MLFLOW_TRACKING_URI") as caught:
        MLflow("run", "id")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["tensorboard", "mlflow"])
def test_a_tracker_that_is_not_installed_is_named_with_what_installs_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nat_plugin.tracking.base.find_spec", lambda package: None)
    with pytest.raises(NATErrors) as caught:
        plan({**RECIPE, "tracker": name}, plugins())
    (line,) = caught.value.messages
    assert line.startswith(f"tracker: '{name}' is not installed here: pip install 'nat-plugin[{name}]'")


def test_no_tracker_is_imported_where_none_is_asked_for() -> None:
    program = (
        "import sys\nfrom nat_plugin.runs.run import start\nfrom nat_plugin.tracking.base import find_tracker\n"
        "find_tracker('none', None, '').part('search', 1).add('loss', 0.5, 1)\n"
        "print([name for name in ('tensorboard', 'mlflow') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


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
        "from nat_plugin.tracking.tensorboard import Events\n"
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
