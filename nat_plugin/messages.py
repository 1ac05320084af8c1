"""What a user is told beside a result: on standard error, once in a process and not in its workers."""

from __future__ import annotations

import sys
from multiprocessing import parent_process

_said: set[str] = set()


def say_once(line: str) -> None:
    """For what is the same however often it comes up."""
    if line not in _said and parent_process() is None:
        _said.add(line)
        print(line, file=sys.stderr)
