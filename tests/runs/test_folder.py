"""One process per run folder; a journal can be cut back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nat_plugin.errors import NATError
from nat_plugin.runs.folder import Journal, locked, read_journal


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
