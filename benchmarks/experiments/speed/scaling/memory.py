"""Memory of a process."""

from __future__ import annotations

import resource


def memory(process: int | str = "self") -> float:
    """MB that a process has now; none where it has ended."""
    try:
        with open(f"/proc/{process}/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize() / 2**20
    except FileNotFoundError:
        return 0.0
