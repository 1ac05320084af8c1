"""A run whose folder is not as it was is refused in one line that says what changed; it never ends otherwise."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from nat_plugin.json_checksums import seal, unseal
from nat_plugin.plugins import plugins
from nat_plugin.runs.progress import Silent
from nat_plugin.runs.recipe import plan
from nat_plugin.runs.run import resume, start
from tests.runs.stopped import contents, recipe, refused, stopped_at


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
