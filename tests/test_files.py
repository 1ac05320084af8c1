"""Files are written whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nat_plugin.errors import NATError
from nat_plugin.files import write_text


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "one")
    write_text(tmp_path / "a", "two")
    assert (tmp_path / "a").read_text() == "two"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_disk_limit_ends_in_one_line_and_leaves_the_old_file_alone(tmp_path: Path) -> None:
    program = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from nat_plugin.files import write_text\n"
        "from nat_plugin.errors import NATError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n    write_text(Path(sys.argv[1]), 'x' * 5000)\n"
        "except NATError as error:\n    print(error)\n"
    )
    target = tmp_path / "a"
    write_text(target, "kept")
    done = subprocess.run([sys.executable, "-c", program, str(target)], capture_output=True, text=True, check=True)
    assert "cannot write: File too large; nothing written earlier is lost" in done.stdout
    assert len(done.stdout.splitlines()) == 1
    assert target.read_text() == "kept"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NATError, match="cannot write"):
        write_text(tmp_path / "file" / "inside", "x")


@pytest.mark.parametrize("kind", ["link", "link to nothing", "folder", "pipe"])
def test_nothing_else_than_a_file_is_replaced(tmp_path: Path, kind: str) -> None:
    target, precious = tmp_path / "a", tmp_path / "precious"
    precious.write_text("kept")
    if kind == "link":
        target.symlink_to(precious)
    elif kind == "link to nothing":
        target.symlink_to(tmp_path / "nothing")
    elif kind == "folder":
        target.mkdir()
    else:
        os.mkfifo(target)
    before = os.lstat(target)
    with pytest.raises(NATError, match="remove it or choose another name"):
        write_text(target, "x")
    assert os.lstat(target) == before
    assert precious.read_text() == "kept"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "precious"]
