"""Runs that are interrupted on purpose."""

from __future__ import annotations

from nat_plugin.runs.progress import Silent


class Stop(Silent):
    """Ctrl-C after so many steps."""

    def __init__(self, after: int) -> None:
        self.left = after

    def step(self, done: int, note: str = "") -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
