"""A comparison whose folder or data are not as they were is refused in one line; no process of it is left behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from nat_plugin.comparisons.compare import compare
from nat_plugin.comparisons.recipe import plan_comparison
from nat_plugin.errors import NATError
from nat_plugin.json_checksums import seal, unseal
from nat_plugin.plugins import plugins
from nat_plugin.runs.progress import Silent
from tests.images import digits_file
from tests.processes import left_of, workers_of


def recipe(data: Path, **changes: Any) -> dict[str, Any]:
    return {
        "sources": ["DARTS_V2", "DARTS_V1"],
        "network": {"channels": 4, "cells": 2},
        "evaluator": {
            "name": "supernet",
            "batch": 32,
            "reward_images": None,
            "data": {"name": "npz", "path": str(data)},
        },
        "strategies": {"random": {}, "identity": {}},
        "queries": 2,
        "seeds": 1,
        "device": "cpu",
        **changes,
    }


def run(folder: Path, values: dict[str, Any]) -> dict[str, Any]:
    return compare(plan_comparison(values, plugins()), folder, plugins(), Silent())


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return digits_file(tmp_path_factory.mktemp("data") / "digits.npz")


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("comparisons") / "whole"
    run(folder, recipe(data))
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "comparison"))


@pytest.mark.parametrize("change", ["flipped", "emptied", "lost"])
def test_every_result_that_is_not_as_it_was_is_named(folder: Path, data: Path, change: str) -> None:
    files = [each for each in folder.iterdir() if each.is_file() and each.name not in (".lock", "compare.json")]
    assert {"comparison.json", "comparison.md", "points.csv", "checksums.json"} <= {each.name for each in files}
    for path in files:
        if path.name == "checksums.json" and change == "lost":
            continue
        content = path.read_bytes()
        changed = content[:-1] + bytes([content[-1] ^ 1]) if change == "flipped" else b""
        path.unlink() if change == "lost" else path.write_bytes(changed)
        before = {each.name: each.read_bytes() for each in folder.iterdir() if each.is_file()}
        with pytest.raises(NATError, match=path.name) as caught:
            run(folder, recipe(data))
        assert "\n" not in str(caught.value)
        assert {each.name: each.read_bytes() for each in folder.iterdir() if each.is_file()} == before
        path.write_bytes(content)
    (folder / "comparison.md").write_text("mine")
    (folder / "checksums.json").unlink()  # as the line says
    run(folder, recipe(data))
    assert (folder / "comparison.md").read_text() != "mine"


def one_of(folder: Path) -> Path:
    return max((folder / "searches").iterdir())


def refused(folder: Path, values: dict[str, Any]) -> str:
    with pytest.raises(NATError) as caught:
        run(folder, values)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_of_a_search_that_was_changed_is_named_and_done_again(folder: Path, whole: Path, data: Path) -> None:
    path = one_of(folder)
    for content in (b"", path.read_bytes()[:-30], path.read_bytes().replace(b'"queries": 2', b'"queries": 1')):
        path.write_bytes(content)
        assert f"{path}: damaged or changed" in refused(folder, recipe(data))
    path.unlink()
    run(folder, recipe(data))
    assert path.read_bytes() == one_of(whole).read_bytes()


def test_a_search_of_another_comparison_is_refused(folder: Path, data: Path, tmp_path: Path) -> None:
    run(tmp_path / "other", recipe(data, seed=1))
    shutil.copy(one_of(tmp_path / "other"), one_of(folder))
    assert "it is of another comparison" in refused(folder, recipe(data))


def test_another_search_of_the_same_comparison_is_refused(folder: Path, data: Path) -> None:
    first, *_, last = sorted((folder / "searches").iterdir())
    shutil.copy(first, last)
    assert f"{last}: damaged or changed (it is that of {first.stem})" in refused(folder, recipe(data))


def test_a_policy_that_no_longer_ships(folder: Path, data: Path) -> None:
    path = folder / "compare.json"
    values = unseal(path.read_text())
    path.write_text(seal({**values, "files": {**values["files"], "policy nasbench201": "0" * 64}}))
    said = refused(folder, recipe(data))
    assert said.startswith("policy 'nasbench201' no longer ships, and with 'general' the result would be another; ")
    assert said.endswith(", or choose another --out")


@pytest.mark.parametrize("value", [[], "text", None, 3])
@pytest.mark.parametrize("key", ["recipe", "origins", "files"])
def test_a_file_with_other_kinds_of_values(folder: Path, data: Path, key: str, value: Any) -> None:
    path = folder / "compare.json"
    path.write_text(seal({**unseal(path.read_text()), key: value}))
    assert "compare.json: damaged or changed" in refused(folder, recipe(data))


def test_a_file_that_was_edited(folder: Path, data: Path) -> None:
    path = folder / "compare.json"
    path.write_text(path.read_text().replace('"queries": 2', '"queries": 3'))
    assert "compare.json: damaged or changed" in refused(folder, recipe(data, queries=3))


def test_data_that_changed_or_moved(folder: Path, whole: Path, data: Path, tmp_path: Path) -> None:
    one_of(folder).unlink()
    changed, same = digits_file(tmp_path / "changed.npz", changed=1), digits_file(tmp_path / "same.npz")
    assert "has another recipe" in refused(folder, recipe(changed))
    run(folder, recipe(same))
    assert one_of(folder).read_bytes() == one_of(whole).read_bytes()


def test_data_that_changed_in_its_place(tmp_path: Path) -> None:
    path = digits_file(tmp_path / "digits.npz")
    run(tmp_path / "c", recipe(path))
    digits_file(path, changed=1)
    run(tmp_path / "c", recipe(path))  # all is searched: what is there is shown again
    one_of(tmp_path / "c").unlink()
    assert f"{path}: changed since it was first read" in refused(tmp_path / "c", recipe(path))


def test_what_decides_the_last_bits_is_that_of_the_beginning(folder: Path, whole: Path, data: Path) -> None:
    written = unseal((folder / "compare.json").read_text())["recipe"]
    before = torch.get_num_threads()
    assert (written["threads"], written["device"], written["precision"]) == (before, "cpu", "float32")
    one_of(folder).unlink()
    try:
        torch.set_num_threads(before + 1)
        run(folder, recipe(data))
        assert torch.get_num_threads() == before
    finally:
        torch.set_num_threads(before)
    assert one_of(folder).read_bytes() == one_of(whole).read_bytes()
    assert "has another recipe" in refused(folder, recipe(data, threads=before + 1))


@pytest.mark.parametrize("name", [".lock", "compare.json", "comparison.json", "searches"])
def test_nothing_is_followed_that_leads_elsewhere(folder: Path, data: Path, tmp_path: Path, name: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    shutil.move(folder / name, elsewhere)
    (folder / name).symlink_to(elsewhere)
    before = elsewhere.read_bytes() if elsewhere.is_file() else sorted(elsewhere.iterdir())
    assert name in refused(folder, recipe(data))
    assert before == (elsewhere.read_bytes() if elsewhere.is_file() else sorted(elsewhere.iterdir()))


def test_a_comparison_that_was_killed_in_its_very_first_write_begins_anew(tmp_path: Path, data: Path) -> None:
    (tmp_path / ".compare.json.abcd1234.nat-tmp").write_text('{"vers')
    run(tmp_path, recipe(data, strategies={"identity": {}}))
    assert json.loads((tmp_path / "comparison.json").read_text())["inputs"] == ["DARTS_V2", "DARTS_V1"]
    assert not list(tmp_path.glob("*.nat-tmp"))


def test_a_folder_of_the_users_own_is_left_as_it_is(tmp_path: Path, data: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    assert "this folder is in use: it is not empty; choose another --out" in refused(tmp_path, recipe(data))
    assert [path.name for path in tmp_path.iterdir()] == ["link"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_no_process_is_left_behind(data: Path, tmp_path: Path, number: signal.Signals) -> None:
    long = recipe(data, queries=100_000, strategies={"random": {}}, executor={"workers": 2}, regret=False)
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(long))
    call = [sys.executable, "-m", "nat_plugin", "compare", str(tmp_path / "recipe.yaml"), "--out", str(tmp_path / "c")]
    process = subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    workers = workers_of(process, "forkserver")
    time.sleep(0.2)  # while they are still being imported, or later
    (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
    err = process.communicate(timeout=60)[1]
    assert left_of(workers) == []
    assert "Traceback" not in err
    if number == signal.SIGINT:
        assert err.splitlines()[-1] == "nat: stopped; the same command resumes it"
