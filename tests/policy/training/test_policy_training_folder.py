"""The folder of a training is what that of a run is: killed it goes on to the same bytes, and what was changed in it is
missed, by whoever reads it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from policy.training.conftest import contents, small, train

from nat_plugin.errors import NATError
from nat_plugin.json_checksums import seal, unseal
from nat_plugin.plugins import plugins
from nat_plugin.policy.training.train import resume
from nat_plugin.reporting.report_file import write_report
from nat_plugin.runs.folder import read_journal
from nat_plugin.runs.progress import Silent
from tests.command_line import Nat
from tests.interrupting import Stop
from tests.killing import killed
from tests.reporting.browser import check_everywhere, launched
from tests.reporting.pages import read

CHANGES: dict[str, Callable[[Path], object]] = {
    "flipped": lambda path: path.write_bytes(path.read_bytes()[:-1] + bytes([path.read_bytes()[-1] ^ 1])),
    "emptied": lambda path: path.write_bytes(b""),
    "lost": Path.unlink,
}
OWN = {"train.json", "checkpoint.safetensors", "journal.jsonl", "policy.safetensors", "report.md", "result.json"}


@pytest.fixture
def folder(ended: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(ended, tmp_path / "t"))


def test_killed_at_random_moments_it_ends_the_same(small_table: Path, ended: Path, tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(json.dumps(small(small_table)))
    command = ("train", str(tmp_path / "small.yaml"), "-o", str(tmp_path / "t"))
    assert killed(tmp_path / "t", command, count=5, pause=0.1) >= 3
    assert contents(tmp_path / "t") == contents(ended)
    assert {path.name for path in (tmp_path / "t").iterdir()} == {path.name for path in ended.iterdir()} | {
        "report.html"
    }


def test_its_report_shows_gains_and_how_the_policy_learned(ended: Path, tmp_path: Path) -> None:
    page = read(write_report(ended, pytest.fail, tmp_path / "report.html"))
    found = json.loads((ended / "result.json").read_text())["tasks"]["cells"]
    for gain in found["gains"]:
        assert f"{gain['gain']:+.4g}" in page.text
    assert f"{found['critic']['spearman']:.2f}" in page.text
    figures = read_journal(ended / "journal.jsonl")[-1].keys() - {"stage", "update"}
    assert figures
    for caption in (*(f"Policy: {figure}" for figure in figures), "Calibration of the critic", "Critic: loss on"):
        assert caption in page.text
    assert "stage 2" in page.source


def test_its_report_is_at_home_in_a_browser(ended: Path, tmp_path: Path) -> None:
    with launched() as browser:
        check_everywhere(browser, write_report(ended, pytest.fail, tmp_path / "report.html"))


@pytest.mark.parametrize("what", CHANGES)
def test_every_file_of_a_training_that_is_done_is_missed(what: str, folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == OWN | {"checksums.json", ".lock"}
    for name in (*OWN, *(["checksums.json"] if what != "lost" else [])):  # without its list it has not ended
        content = (folder / name).read_bytes()
        CHANGES[what](folder / name)
        before = {path: path.read_bytes() for path in folder.iterdir()}
        with pytest.raises(NATError) as caught:
            resume(folder, plugins(), Silent())
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)
        assert {path: path.read_bytes() for path in folder.iterdir()} == before
        (folder / name).write_bytes(content)
    assert resume(folder, plugins(), Silent()) == json.loads((folder / "result.json").read_text())


def test_without_the_list_the_results_are_written_again(ended: Path, folder: Path) -> None:
    (folder / "policy.safetensors").write_text("mine")
    (folder / "checksums.json").unlink()  # as the line says
    resume(folder, plugins(), Silent())
    assert contents(folder) == contents(ended)


def test_files_of_other_trainings_are_not_taken(small_table: Path, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "other", small(small_table, seed=1), Stop(3))
    for name, said in (("checkpoint.safetensors", "changed"), ("checksums.json", "this is the list of another folder")):
        values = unseal((folder / "checksums.json").read_text())
        other = Path(shutil.copytree(folder, tmp_path / name))
        if name == "checksums.json":
            (other / name).write_text(seal({**values, "owner": "another"}))
        else:
            shutil.copy(tmp_path / "other" / name, other / name)
        with pytest.raises(NATError, match=f"{name}: {said}"):
            resume(other, plugins(), Silent())
    shutil.copy(folder / "checkpoint.safetensors", tmp_path / "other" / "checkpoint.safetensors")
    with pytest.raises(NATError, match=r"checkpoint\.safetensors: this is the checkpoint of another training"):
        resume(tmp_path / "other", plugins(), Silent())


def test_one_of_another_version_is_refused(nat: Nat, folder: Path) -> None:
    values = unseal((folder / "train.json").read_text())
    (folder / "train.json").write_text(seal({**values, "version": "0.1"}))
    said = nat("resume", str(folder))
    assert (said.status, said.err.count("\n")) == (2, 1)
    assert "begun by nat-plugin 0.1, this is" in said.err


def test_of_one_that_is_done_places_can_be_said_anew(small_table: Path, folder: Path, tmp_path: Path) -> None:
    new = Path(shutil.copy(small_table, tmp_path / "new.csv"))
    before = contents(folder)
    resume(folder, plugins(), Silent(), {str(small_table): str(new)})
    assert str(new) in (folder / "train.json").read_text()
    new.write_text(new.read_text() + "\n")
    resume(folder, plugins(), Silent())  # its results are there, and what they were made of is not needed
    with pytest.raises(NATError, match="changed since it was first read"):
        resume(folder, plugins(), Silent(), {str(new): str(new)})
    assert contents(folder) == before


@pytest.mark.parametrize("what", CHANGES)
def test_a_changed_policy_is_not_used(what: str, nat: Nat, folder: Path) -> None:
    cell = "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|skip_connect~1|none~2|"
    commands = [("transform", cell, "--policy", str(each)) for each in (folder, folder / "policy.safetensors")]
    assert nat(*commands[0]).status == 0
    CHANGES[what](folder / "policy.safetensors")
    for command in commands[: 1 if what == "lost" else 2]:
        said = nat(*command)
        assert (said.status, said.err.count("\n")) == (2, 1), said.err
        assert f"{folder / 'policy.safetensors'}: " in said.err
        assert "this folder was finished" in said.err


def test_it_is_no_architecture_and_no_run(nat: Nat, folder: Path, tmp_path: Path) -> None:
    for command in (("show", str(folder)), ("export", str(folder), "-o", str(tmp_path / "model"))):
        said = nat(*command)
        assert (said.status, said.err.count("\n")) == (2, 1), said.err
