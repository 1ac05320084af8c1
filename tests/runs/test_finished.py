"""What a run ended with, exported from its folder: the networks that were tested, with the weights that they had."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nat_plugin.data import DataSettings, eval_batches, load
from nat_plugin.errors import NATError
from nat_plugin.json_checksums import seal, unseal
from nat_plugin.plugins import plugins
from nat_plugin.runs.finished import read_finished
from nat_plugin.runs.progress import Silent
from nat_plugin.runs.recipe import plan
from nat_plugin.runs.run import resume, start
from tests.command_line import Nat
from tests.small_run import RECIPE


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
    assert f"the run has not ended: `nat resume {tmp_path}` resumes it" in said.err


CHANGES: dict[str, Callable[[Path], None]] = {
    "flipped": lambda path: path.write_bytes(path.read_bytes()[:-1] + bytes([path.read_bytes()[-1] ^ 1])),
    "emptied": lambda path: path.write_bytes(b""),
    "lost": Path.unlink,
}


@pytest.mark.parametrize("what", CHANGES)
def test_every_file_of_a_run_that_is_done_is_missed(what: str, ended: Path, nat: Nat, tmp_path: Path) -> None:
    """By ``nat resume``, which writes none of them again in silence."""
    folder = Path(shutil.copytree(ended, tmp_path / "run"))
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder).parts[0] for path in files}
    own = {"architecture.txt", "checkpoint.safetensors", "journal.jsonl", "network.json", "report.md", "result.json"}
    assert names == {*own, "run.json", "checksums.json", "weights", "stages.json", ".lock"}
    for path in files:
        if path.name in (".lock", "stages.json") or (path.name == "checksums.json" and what == "lost"):
            continue  # no result depends on seconds; a run without its list is one that has not ended
        content = path.read_bytes()
        CHANGES[what](path)
        before = {each: each.read_bytes() for each in files if each.exists()}
        with pytest.raises(NATError) as caught:
            resume(folder, plugins(), Silent())
        assert path.name in str(caught.value)
        assert "\n" not in str(caught.value)
        assert {each: each.read_bytes() for each in files if each.exists()} == before
        path.write_bytes(content)
    assert resume(folder, plugins(), Silent()) == json.loads((folder / "result.json").read_text())


@pytest.mark.parametrize("name", ["architecture.txt", "result.json"])
def test_what_was_changed_is_written_again_once_the_list_is_removed(name: str, ended: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(ended, tmp_path / "run"))
    content = (folder / name).read_bytes()
    (folder / name).write_text("mine")
    (folder / "checksums.json").unlink()  # as the line says
    resume(folder, plugins(), Silent())
    assert (folder / name).read_bytes() == content
    assert (folder / "checksums.json").read_bytes() == (ended / "checksums.json").read_bytes()


def test_the_list_of_another_run_is_not_taken(ended: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(ended, tmp_path / "run"))
    values = unseal((folder / "checksums.json").read_text())
    (folder / "checksums.json").write_text(seal({**values, "owner": "another"}))
    with pytest.raises(NATError, match=r"checksums\.json: this is the list of another folder"):
        resume(folder, plugins(), Silent())


def test_a_changed_result_is_not_read_by_its_own_path_either(ended: Path, nat: Nat, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(ended, tmp_path / "run"))
    (weights, *_) = sorted((folder / "weights").iterdir())
    commands = {
        "architecture.txt": ("show", str(folder / "architecture.txt")),
        "network.json": ("show", str(folder)),
        "result.json": ("export", str(folder), "-o", str(tmp_path / "model")),
        f"weights/{weights.name}": ("export", "DARTS_V2", "-o", str(tmp_path / "model"), "--weights", str(weights)),
    }
    assert nat("show", str(folder)).status == 0
    for name, command in commands.items():
        for change in CHANGES.values():
            content = (folder / name).read_bytes()
            change(folder / name)
            said = nat(*command)
            assert (said.status, said.err.count("\n")) == (2, 1), said.err
            if (folder / name).exists() or name != "architecture.txt":
                assert f"{folder / name}: " in said.err
                assert "this folder was finished" in said.err
            (folder / name).write_bytes(content)
    assert not (tmp_path / "model").exists()


def test_weights_that_were_changed_or_lost_are_not_exported(ended: Path, nat: Nat, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(ended, tmp_path / "run"))
    path = folder / "weights" / f"{json.loads((folder / 'result.json').read_text())['result']['key']}-seed0.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    for _ in range(2):
        said = nat("export", str(folder), "-o", str(tmp_path / "model"))
        assert said.status == 2
        assert f"{path}: " in said.err
        assert "this folder was finished" in said.err
        path.unlink(missing_ok=True)
    assert not (tmp_path / "model").exists()


def test_the_size_is_that_of_the_run(ended: Path, nat: Nat, tmp_path: Path) -> None:
    said = nat("export", str(ended), "-o", str(tmp_path), "--channels", "8")
    assert said.status == 2
    assert "format and size are those of the run" in said.err
    assert not list(tmp_path.iterdir())
    assert read_finished(ended, plugins()).network.placements[0].channels == 6
