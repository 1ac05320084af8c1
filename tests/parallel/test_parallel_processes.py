"""The other processes of a run end with it."""

from __future__ import annotations

import subprocess
import sys
import tempfile

import pytest

from nat_plugin.parallel import processes
from nat_plugin.parallel.processes import OtherProcesses


def test_one_that_has_not_heard_the_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "TO_END", 0.2)
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    with tempfile.TemporaryFile() as said, OtherProcesses() as others:
        others._processes.append((other, said))
        others.wait()
        assert other.poll() is None
    assert other.returncode is not None
