"""A run whose folder, or whose data, is not as it was is refused in one line that says what changed; it never ends in
another result."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn.datasets import load_digits

from nat_plugin.errors import NATError
from nat_plugin.plugins import plugins
from nat_plugin.policy import finding
from nat_plugin.policy.files import save_policy
from nat_plugin.policy.network import PolicyConfig, new_policy
from nat_plugin.runs.progress import Silent
from nat_plugin.runs.recipe import plan
from nat_plugin.runs.run import resume, start
from nat_plugin.sealing import seal, unseal
from nat_plugin.tensors import read_tensors
from tests.command_line import Nat
from tests.images import digits_file
from tests.interrupting import Stop

KEPT = ("result.json", "journal.jsonl", "architecture.txt", "report.md")


def recipe(data: Path, **changes: Any) -> dict[str, Any]:
    return {
        "source": "DARTS_V2",
        "network": {"channels": 4, "cells": 2},
        "strategy": {"name": "random"},
        "evaluator": {"name": "supernet", "batch": 32, "reward_images": 50, "data": {"name": "npz", "path": str(data)}},
        "search": {"rounds": 2, "proposals": 2, "steps": 2},
        "final": {"candidates": 1, "schedule": {"epochs": 2, "batch": 64, "cutout": 0, "auxiliary": 0}},
        "device": "cpu",
        "tracker": "tensorboard",
        **changes,
    }


def stopped_at(folder: Path, values: dict[str, Any], steps: int) -> Path:
    with pytest.raises(KeyboardInterrupt):
        start(plan(values, plugins()), folder, plugins(), Stop(steps))
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return digits_file(tmp_path_factory.mktemp("data") / "digits.npz")


@pytest.fixture(scope="module")
def half(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was stopped in its second training: one network is trained."""
    return stopped_at(tmp_path_factory.mktemp("runs") / "half", recipe(data), 5)


@pytest.fixture(scope="module")
def whole(half: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What the run ends with."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    shutil.copytree(half, folder)
    resume(folder, plugins(), Silent())
    return contents(folder)


@pytest.fixture
def folder(half: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(half, tmp_path / "run"))


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in KEPT}


def refused(folder: Path, **moved: str) -> str:
    """The one line, after which the folder is as it was."""
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(NATError) as caught:
        resume(folder, plugins(), Silent(), moved)
    assert {path: path.read_bytes() for path in before if path.is_file()} == {
        path: content for path, content in before.items() if path.is_file()
    }
    assert "\n" not in str(caught.value)
    return str(caught.value)


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


JOURNALS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "half": lambda content: content[: len(content) // 2],
    "of zeros": lambda content: bytes(len(content)),
    "of another bit": lambda content: content[:100] + bytes([content[100] ^ 1]) + content[101:],
    "without its first line": lambda content: content.partition(b"\n")[2],
}


@pytest.mark.parametrize("what", JOURNALS)
def test_a_journal_that_was_changed(folder: Path, what: str) -> None:
    path = folder / "journal.jsonl"
    path.write_bytes(JOURNALS[what](path.read_bytes()))
    assert "journal.jsonl: lines of it were lost or changed" in refused(folder)


def test_a_journal_that_was_lost(folder: Path, whole: dict[str, bytes]) -> None:
    (folder / "journal.jsonl").unlink()
    assert "journal.jsonl: lines of it were lost" in refused(folder)
    (folder / "checkpoint.safetensors").unlink()  # as the line says
    resume(folder, plugins(), Silent())
    assert contents(folder) == whole


@pytest.mark.parametrize("at", [3, 20, 60, 400, -1, -5000])
def test_a_flipped_bit_in_the_checkpoint(folder: Path, at: int) -> None:
    flip(folder / "checkpoint.safetensors", at)
    assert "checkpoint.safetensors: this is not a checkpoint of a run, or it is damaged" in refused(folder)


def test_a_flipped_bit_in_weights_and_lost_ones(folder: Path) -> None:
    (path,) = (folder / "weights").iterdir()
    flip(path, -3)
    assert f"{path.name}: these weights were lost or changed since they were trained" in refused(folder)
    path.unlink()
    assert f"{path.name}: these weights were lost or changed since they were trained" in refused(folder)


def test_the_files_of_another_run(folder: Path, data: Path, tmp_path: Path) -> None:
    other = stopped_at(tmp_path / "other", recipe(data, seed=1), 5)
    (own,), (another,) = (list((each / "weights").iterdir()) for each in (folder, other))
    assert own.name == another.name  # the input, with seed 0 of the final stage
    kept = own.read_bytes()
    shutil.copy(another, own)
    assert "these weights were lost or changed" in refused(folder)
    own.write_bytes(kept)
    shutil.copy(other / "checkpoint.safetensors", folder)
    assert "checkpoint.safetensors: this is the checkpoint of another run" in refused(folder)


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text.replace('"seed": 0', '"seed": 1'),
        lambda text: text.replace('"rounds": 2', '"rounds": 3'),
        lambda text: text.replace('"threads": ', '"threads": 1'),
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: "[" * 100_000,
        lambda text: "",
    ],
)
def test_a_run_file_that_was_edited(folder: Path, edit: Callable[[str], str]) -> None:
    path = folder / "run.json"
    path.write_text(edit(path.read_text()))
    assert "run.json: damaged or changed" in refused(folder)


@pytest.mark.parametrize("value", [[], "text", None, 3])
@pytest.mark.parametrize("key", ["recipe", "origin", "files"])
def test_a_run_file_with_other_kinds_of_values(folder: Path, key: str, value: Any) -> None:
    path = folder / "run.json"
    path.write_text(seal({**unseal(path.read_text()), key: value}))
    assert "run.json: damaged or changed" in refused(folder)


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


def test_what_decides_the_last_bits_is_written_down(half: Path) -> None:
    written = unseal((half / "run.json").read_text())["recipe"]
    assert written["threads"] >= 1
    assert (written["device"], written["precision"]) == ("cpu", "float32")


def test_the_number_of_threads_is_that_of_the_beginning(
    folder: Path, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(before + 1)
        resume(folder, plugins(), Silent())
        assert torch.get_num_threads() == before
    finally:
        torch.set_num_threads(before)
    assert contents(folder) == whole


@pytest.mark.parametrize("name", [".lock", "run.json", "journal.jsonl", "checkpoint.safetensors", "report.md"])
@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_nothing_is_followed_that_leads_elsewhere(folder: Path, tmp_path: Path, name: str, kind: str) -> None:
    precious = tmp_path / "precious"
    precious.write_text("kept")
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(precious) if kind == "link" else os.mkfifo(folder / name)
    assert name in refused(folder)
    assert precious.read_text() == "kept"


@pytest.mark.parametrize("name", [".lock", "journal.jsonl"])
def test_no_file_with_a_second_name_is_written_to(folder: Path, tmp_path: Path, name: str) -> None:
    precious = tmp_path / "precious"
    precious.write_text("kept")
    (folder / name).unlink()
    os.link(precious, folder / name)
    assert "hard link" in refused(folder)
    assert precious.read_text() == "kept"


@pytest.mark.parametrize("name", ["events", "weights"])
def test_no_folder_is_followed_that_leads_elsewhere(folder: Path, tmp_path: Path, name: str) -> None:
    shutil.move(folder / name, tmp_path / "elsewhere")
    (folder / name).symlink_to(tmp_path / "elsewhere")
    before = sorted((tmp_path / "elsewhere").rglob("*"))
    assert f"{name}: this is a symbolic link" in refused(folder)
    assert sorted((tmp_path / "elsewhere").rglob("*")) == before


def test_what_a_kill_left_half_written_is_removed_and_nothing_else(folder: Path, whole: dict[str, bytes]) -> None:
    left = [folder / ".run.json.abcd1234.nat-tmp", folder / "weights" / ".x.safetensors.abcd1234.nat-tmp"]
    mine = [folder / "notes.nat-tmp", folder / ".hidden"]
    for path in (*left, *mine):
        path.write_text("x")
    resume(folder, plugins(), Silent())
    assert not any(path.exists() for path in left)
    assert all(path.exists() for path in mine)
    assert contents(folder) == whole


class Killed(BaseException):
    """As if the process were gone."""


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_every_write_of_a_file_it_ends_the_same(
    when: str, data: Path, whole: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every session comes one file further than the one before it: up to, or just behind, the next in its place."""
    folder, replace, left, results = tmp_path / "run", os.replace, 0, 0

    def counted(source: str, target: Path) -> None:
        nonlocal left
        left -= 1
        if left == 0 and when == "before":
            raise Killed
        replace(source, target)
        if left == 0:
            raise Killed

    monkeypatch.setattr(os, "replace", counted)
    for session in range(60):
        results += (folder / "architecture.txt").exists()  # which are all written again by every session
        left = 2 + session % 2 + results
        try:
            if (folder / "run.json").exists():
                resume(folder, plugins(), Silent())
            else:
                start(plan(recipe(data), plugins()), folder, plugins(), Silent())
            break
        except Killed:
            continue
    assert session > 5
    assert contents(folder) == whole


def test_a_run_that_was_killed_in_its_very_first_write_begins_anew(tmp_path: Path, data: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / ".lock").touch()
    (folder / ".run.json.abcd1234.nat-tmp").write_text('{"vers')
    stopped_at(folder, recipe(data), 1)
    assert (folder / "run.json").exists()
    assert not list(folder.glob("*.nat-tmp"))


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
    assert said.endswith("or begin anew in another folder")
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
