"""A run whose data, images or policy changed, or are elsewhere now, is refused in one line; it never ends otherwise."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn.datasets import load_digits

from nat_plugin.json_checksums import seal, unseal
from nat_plugin.plugins import plugins
from nat_plugin.policy import finding
from nat_plugin.policy.files import save_policy
from nat_plugin.policy.network import PolicyConfig, new_policy
from nat_plugin.runs.progress import Silent
from nat_plugin.runs.run import resume
from nat_plugin.tensors import read_tensors
from tests.command_line import Nat
from tests.images import digits_file
from tests.runs.stopped import contents, recipe, refused, stopped_at


def test_data_that_changed_moved_or_went(folder: Path, tmp_path: Path, data: Path, whole: dict[str, bytes]) -> None:
    path, moved = tmp_path / "mine" / "digits.npz", tmp_path / "yours" / "digits.npz"
    path.parent.mkdir()
    shutil.copy(data, path)
    run = stopped_at(tmp_path / "own", recipe(path), 5)
    digits_file(path, changed=1)
    assert f"{path}: changed since it was first read, and the result would be another" in refused(run)
    shutil.move(path.parent, moved.parent)
    said = refused(run)
    assert f"{path}: it was read when the run began and is not there now" in said
    assert f"nat resume {run} --moved {path}=NEW" in said
    assert "changed since it was first read" in refused(run, **{str(path): str(moved)})
    assert "the run read nothing there" in refused(run, elsewhere=str(moved))
    digits_file(moved)
    resume(run, plugins(), Silent(), {str(path.parent): str(moved.parent)})  # a folder above it, or itself
    assert contents(run) == whole
    resume(run, plugins(), Silent())  # it is written down


def test_a_place_with_a_sign_of_equality_in_its_name(tmp_path: Path, data: Path, nat: Nat) -> None:
    old, new = tmp_path / "lr=0.1" / "a=b.npz", tmp_path / "c=d" / "e.npz"
    old.parent.mkdir()
    new.parent.mkdir()
    shutil.copy(data, old)
    run = stopped_at(tmp_path / "run", recipe(old), 5)
    shutil.move(old, new)
    said = nat("resume", str(run), "--moved", f"{tmp_path}/x={new}")
    assert "the run read nothing there" in said.err
    assert "write OLD=NEW" in nat("resume", str(run), "--moved", "new").err
    assert nat("resume", str(run), "--moved", f"{old}={new}").status == 0
    shutil.move(new, old)
    assert nat("resume", str(run), "--moved", f"{new.parent}={old.parent}").status == 2  # no file of that name there
    old.rename(old.parent / "e.npz")
    assert nat("resume", str(run), "--moved", f"{new.parent}={old.parent}").status == 0


def test_it_goes_on_from_any_folder(tmp_path: Path, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    digits_file(tmp_path / "digits.npz")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    run = stopped_at(tmp_path / "run", recipe(Path("digits.npz")), 5)
    monkeypatch.chdir(tmp_path / "elsewhere")
    resume(run, plugins(), Silent())
    assert contents(run) == whole


def test_a_policy_that_changed(tmp_path: Path, data: Path) -> None:
    policy = tmp_path / "policy.safetensors"
    save_policy(new_policy(PolicyConfig(hidden=4), 0, torch.device("cpu")), policy)
    wanted = {
        "source": "NB201_ResNet",
        "network": {},
        "strategy": {"name": "nat", "policy": str(policy)},
        "final": None,
    }
    run = stopped_at(tmp_path / "run", recipe(data, **wanted), 1)
    weights, facts = read_tensors(policy, 2**30)
    weights[next(iter(weights))] += 1
    save_file(weights, policy, facts)
    assert f"{policy}: changed since it was first read" in refused(run)


def test_a_policy_that_ships_and_changed(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is known by its name: on another machine it lies elsewhere."""
    shipped, elsewhere = tmp_path / "shipped", tmp_path / "elsewhere"
    for each in (shipped, elsewhere):
        save_policy(new_policy(PolicyConfig(hidden=4), 0, torch.device("cpu")), each / "own.safetensors")
    monkeypatch.setattr(finding, "SHIPPED", shipped)
    wanted = {"source": "NB201_ResNet", "network": {}, "strategy": {"name": "nat", "policy": "own"}, "final": None}
    run = stopped_at(tmp_path / "run", recipe(data, **wanted), 1)
    weights, facts = read_tensors(shipped / "own.safetensors", 2**30)
    weights[next(iter(weights))] += 1
    save_file(weights, shipped / "own.safetensors", facts)
    assert "policy own: changed since it was first read" in refused(run)
    monkeypatch.setattr(finding, "SHIPPED", elsewhere)
    resume(run, plugins(), Silent())


def test_a_policy_that_no_longer_ships(
    folder: Path, whole: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    """A run that began with it does not go on with another; one that is done stays as it is."""
    path, before = folder / "run.json", (folder / "run.json").read_text()
    values = unseal(before)
    path.write_text(seal({**values, "files": {**values["files"], "policy nasbench201-budgets": "0" * 64}}))
    old, said = path.read_text(), refused(folder)
    assert said.startswith(
        "policy 'nasbench201-budgets' no longer ships, and with 'general' the result would be another; "
    )
    assert said.endswith("or start again in another folder")
    path.write_text(before)
    resume(folder, plugins(), Silent())
    path.write_text(old)
    resume(folder, plugins(), Silent())
    assert contents(folder) == whole
    assert capsys.readouterr().err == ""


def test_a_run_that_begins_with_the_name_of_one_goes_on_with_what_it_used(tmp_path: Path, data: Path) -> None:
    strategy = {"name": "nat", "policy": "nasbench201"}
    run = stopped_at(
        tmp_path / "run", recipe(data, source="NB201_ResNet", network={}, strategy=strategy, final=None), 1
    )
    assert "policy general" in json.loads((run / "run.json").read_text())["files"]
    resume(run, plugins(), Silent())
    assert "policy 'general'" in (run / "report.md").read_text()


def test_an_image_that_came_went_or_changed(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    digits, root = load_digits(), tmp_path / "pictures"
    for number in range(120):
        path = root / str(digits.target[number]) / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.fromarray((digits.images[number] * 15).astype(np.uint8)).save(path)
    pictures = {"name": "image_folder", "path": str(root), "resolution": 8}
    evaluator = {"name": "supernet", "batch": 16, "reward_images": None, "data": pictures}
    run = stopped_at(tmp_path / "run", recipe(root, evaluator=evaluator, final=None), 1)
    assert json.loads((run / "run.json").read_text())["files"][str(root)].startswith("120 files, ")
    (root / "0" / "notes.txt").write_text("read by nobody")
    shutil.copy(root / "0" / "0.png", root / "0" / "more.png")
    assert f"{root}: changed since it was first read (121 files where it was 120 files)" in refused(run)
    (root / "0" / "more.png").unlink()
    shutil.copy(root / "1" / "1.png", root / "0" / "0.png")
    assert f"{root}: changed since it was first read, and" in refused(run)
