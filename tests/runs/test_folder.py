"""One process per run folder; a journal can be cut back."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nat_plugin.errors import NATError
from nat_plugin.runs import folder as run_folder
from nat_plugin.runs.folder import LOCK, Journal, begin_folder, locked, read_journal
from tests.command_line import Nat
from tests.small_run import RECIPE


def test_a_second_holder_of_a_folder_is_refused(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from nat_plugin.runs.folder import locked\n"
        "from nat_plugin.errors import NATError\n"
        "try:\n    with locked(Path(sys.argv[1])): print('held')\n"
        "except NATError as error:\n    print(error)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with locked(tmp_path):
        inside = subprocess.run(command, capture_output=True, text=True, check=True)
    after = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "another process is running in this folder" in inside.stdout
    assert after.stdout == "held\n"


def test_of_what_fails_as_it_begins_nothing_is_left(tmp_path: Path) -> None:
    def stopped(folder: Path, *, wrote: bool = False) -> None:
        with pytest.raises(KeyboardInterrupt), begin_folder(folder, "run.json"):
            assert (folder / LOCK).exists()
            if wrote:
                (folder / "run.json").touch()
            raise KeyboardInterrupt

    stopped(tmp_path / "runs" / "mine")
    assert list(tmp_path.iterdir()) == []
    own = tmp_path / "own"
    own.mkdir()
    stopped(own / "mine")
    stopped(own)
    assert list(own.iterdir()) == []
    stopped(own / "mine", wrote=True)
    assert {path.name for path in (own / "mine").iterdir()} == {LOCK, "run.json"}


def test_a_lock_that_was_removed_as_it_was_taken_holds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process may have made one of its own since."""

    class Late(run_folder.FileLock):
        def acquire(self, *given: object, **named: object) -> object:
            (tmp_path / LOCK).unlink()
            return super().acquire(*given, **named)

    monkeypatch.setattr(run_folder, "FileLock", Late)
    with pytest.raises(NATError, match="another process is running in this folder"), locked(tmp_path):
        pytest.fail("it was not held")
    monkeypatch.undo()
    with locked(tmp_path):
        assert (tmp_path / LOCK).exists()


@pytest.mark.parametrize("command", ["run", "compare", "train"])
def test_a_setting_that_is_found_wrong_late_leaves_no_folder(
    command: str, nat: Nat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    trained = {"name": "nat", "policy": "nowhere"}
    table = {"path": "nowhere.csv", "adapter": "nasbench201", "metric": "accuracy"}
    few = {key: RECIPE[key] for key in ("network", "evaluator", "device")}
    recipes = {
        "run": {**RECIPE, "strategy": trained},
        "compare": {**few, "sources": ["DARTS_V2"], "strategies": {"trained": trained}, "queries": 2},
        "train": {"name": "mine", "sources": {"one": {"table": table}}},
    }
    Path("mine.yaml").write_text(json.dumps(recipes[command]))
    said = nat(command, "mine.yaml")
    assert (said.status, said.err.count("\n")) == (2, 1)
    assert "nowhere" in said.err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]


def test_a_journal_is_cut_back_to_a_mark(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.cut()
    journal.add({"a": 1})
    journal.sync()
    mark = journal.mark
    journal.add({"a": 2})
    journal.cut(mark)
    journal.add({"a": 3})
    journal.close()
    assert read_journal(tmp_path / "j") == [{"a": 1}, {"a": 3}]


def test_a_half_written_last_line_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "j").write_bytes(b'{"a": 1}\n{"a": ')
    assert read_journal(tmp_path / "j") == [{"a": 1}]


def test_a_journal_that_is_not_what_it_was_at_a_mark_is_refused_and_left_alone(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.cut()
    journal.add({"a": 1})
    mark = journal.mark
    journal.close()
    for content in (b"", b'{"a": 2}\n', b'{"a": 1}', bytes(9)):
        (tmp_path / "j").write_bytes(content)
        journal = Journal(tmp_path / "j")
        with pytest.raises(NATError, match="lost or changed"):
            journal.cut(mark)
        journal.close()
        assert (tmp_path / "j").read_bytes() == content
