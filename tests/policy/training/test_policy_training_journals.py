"""What runs measured is learned from as it was written; a journal that is not as a run writes it is one line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nat_nasbench.nb201 import from_digits
from policy.training.conftest import small, train

from nat_plugin.errors import NATError
from nat_plugin.ir import NetworkSize, key
from nat_plugin.json_checksums import seal, unseal
from nat_plugin.plugins import plugins
from nat_plugin.policy.training.journals import pool_of_runs
from nat_plugin.runs.folder import read_journal
from nat_plugin.runs.progress import Silent
from nat_plugin.runs.recipe import plan
from nat_plugin.runs.run import start

INPUT = from_digits("113333")


@pytest.fixture(scope="module")
def runs(small_table: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("runs")
    run: dict[str, Any] = {
        "source": INPUT,
        "adapter": "nasbench201",
        "budget": {},
        "strategy": {"name": "random"},
        "evaluator": {"name": "table", "path": str(small_table)},
        "search": {"rounds": 3, "proposals": 20},
        "device": "cpu",
    }
    for seed in (0, 1):
        start(plan({**run, "seed": seed}, plugins()), folder / f"{seed}", plugins(), Silent())
    return [folder / "0", folder / "1"]


@pytest.fixture
def run(runs: list[Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(runs[0], tmp_path / "run"))


def test_it_learns_from_the_journals_of_runs(small_table: Path, runs: list[Path], tmp_path: Path) -> None:
    recipe = small(small_table, sources={"mine": {"runs": [str(folder) for folder in runs]}})
    found = train(tmp_path / "t", recipe)["tasks"]["mine"]
    own = key(plugins().adapters["nasbench201"].read(INPUT, NetworkSize()))
    keys = {line["network"] for folder in runs for line in read_journal(folder / "journal.jsonl")}
    assert found["networks"] == len(keys | {own})
    assert found["evaluations"] == found["networks"] - found["held_out"]
    assert found["what"] == "measurements of 2 runs"
    assert found["space"] == "nasbench201"


def line_six(**changes: Any) -> Callable[[Path], None]:
    """The sixth line with other values; without those that are None."""

    def change(journal: Path) -> None:
        lines = journal.read_text().splitlines()
        values = {name: each for name, each in {**json.loads(lines[5]), **changes}.items() if each is not None}
        lines[5] = json.dumps(values)
        journal.write_text("\n".join(lines) + "\n")

    return change


def text(content: bytes) -> Callable[[Path], None]:
    return lambda journal: journal.write_bytes(content) and None


def of_version(folder: Path) -> None:
    values = unseal((folder / "run.json").read_text())
    (folder / "run.json").write_text(seal({**values, "version": "0.0.1"}))


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "no JSON": (text(b'{"stage": "final"}\nrubbish\n'), "{}, line 2: not a line of a journal"),
    "no object": (text(b"[1]\n"), "{}, line 1: not a line of a journal"),
    "nested": (text(b"[" * 10**5 + b"\n"), "{}, line 1: not a line of a journal"),
    "binary": (text(bytes(range(256)) + b"\n"), "{}, line 1: not a line of a journal"),
    "empty": (text(b""), "the journal has no evaluation"),
    "lost": (Path.unlink, "the journal has no evaluation"),
    "no network": (line_six(network=None), "{}, line 6: not an evaluation of a run: network: Field required"),
    "no ops": (line_six(ops=3), "{}, line 6: not an evaluation of a run: ops: "),
    "ops of another kind": (line_six(ops=[1] * 6), "{}, line 6: not an evaluation of a run: ops.0: "),
    "unknown ops": (line_six(ops=["rubbish("] * 6), "{}, line 6: not an evaluation of a run: "),
    "a text": (line_six(score="high"), "{}, line 6: not an evaluation of a run: score: "),
    "of another version": (lambda journal: of_version(journal.parent), "begun by nat-plugin 0.0.1, this is"),
    "no run": (lambda journal: (journal.parent / "run.json").unlink(), "it has no run.json"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_journal_that_is_wrong_is_one_line(what: str, run: Path) -> None:
    change, said = WRONG[what]
    (run / "checksums.json").unlink()  # a run that has not ended
    change(run / "journal.jsonl")
    with pytest.raises(NATError) as caught:
        pool_of_runs([run], plugins())
    assert said.format(run / "journal.jsonl") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_counts_as_failed(value: float, runs: list[Path], run: Path) -> None:
    (run / "checksums.json").unlink()
    before = pool_of_runs([runs[0]], plugins())
    for changes in ({"score": value}, {"gain": value}):
        line_six(**changes)(run / "journal.jsonl")
        found = pool_of_runs([run], plugins())
        assert found.scores(range(len(found.networks))) == pytest.approx(
            before.scores([before.networks.index(each) for each in found.networks])
        )


def test_a_finished_run_is_read_as_it_ended(run: Path) -> None:
    journal = run / "journal.jsonl"
    journal.write_text("".join(journal.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(NATError, match=r"journal\.jsonl: changed since this folder was finished"):
        pool_of_runs([run], plugins())
