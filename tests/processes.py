"""Processes of a process: which there are, and whether they end with it."""

from __future__ import annotations

import subprocess
import time

import pytest


def workers_of(process: subprocess.Popen[str], named: str = "") -> list[int]:
    """Its processes that have this in their command line, once there are at least two."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        call = ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(process.pid)]
        lines = subprocess.run(call, capture_output=True, text=True).stdout.splitlines()
        found = [int(line.split()[0]) for line in lines if named in line]
        if len(found) > 1:
            return found
        time.sleep(0.02)
    pytest.fail("there are no processes of its own")


def left_of(pids: list[int]) -> list[int]:
    """Those that do not end in a minute."""
    until = time.monotonic() + 60
    while any(map(_is_running, pids)) and time.monotonic() < until:
        time.sleep(0.05)
    return [pid for pid in pids if _is_running(pid)]


def _is_running(pid: int) -> bool:
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
    return bool(state) and not state.startswith("Z")
