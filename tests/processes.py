"""Processes of a process: which there are, and whether they end with it."""

from __future__ import annotations

import subprocess
import time

import pytest


def workers_of(process: subprocess.Popen[str], named: str = "") -> list[int]:
    """Those that it or one of these began, with this in their command line, once there are at least two."""
    until = time.monotonic() + 300
    while time.monotonic() < until:
        found = [pid for pid, line in _descendants(process.pid) if named in line]
        if len(found) > 1:
            return found
        time.sleep(0.02)
    pytest.fail("there are no processes of its own")


def _descendants(of: int) -> list[tuple[int, str]]:
    """With their command lines."""
    lines = subprocess.run(["ps", "-e", "-ww", "-o", "pid=,ppid=,args="], capture_output=True, text=True).stdout
    every = [
        (int(pid), int(parent), line) for pid, parent, line in (each.split(None, 2) for each in lines.splitlines())
    ]
    own, found = {of}, []
    while new := [(pid, line) for pid, parent, line in every if parent in own and pid not in own]:
        own |= {pid for pid, _ in new}
        found += new
    return found


def left_of(pids: list[int]) -> list[int]:
    """Those that do not end in a minute."""
    until = time.monotonic() + 60
    while any(map(_is_running, pids)) and time.monotonic() < until:
        time.sleep(0.05)
    return [pid for pid in pids if _is_running(pid)]


def _is_running(pid: int) -> bool:
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
    return bool(state) and not state.startswith("Z")
