"""Jobs of submitit that are waited for by one thread."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from nat_plugin.errors import NATError
from nat_plugin.execution.jobs import AwaitedJobs


class Job:
    """Of which somebody says how it is looked at."""

    job_id = "1"

    def __init__(self, folder: Path, value: Any, ends: bool = True) -> None:
        self.paths, self.result_pickle, self._value, self._ends = self, folder / "result", value, ends
        self.stdout = folder / "none"

    def done(self) -> bool:
        if isinstance(self._value, Exception):
            raise self._value
        return self._ends

    def result(self) -> Any:
        return self._value


def test_one_that_cannot_be_looked_at_fails_and_the_others_are_waited_for(tmp_path: Path) -> None:
    awaited = AwaitedJobs(tmp_path, 60.0, LookupError)
    stale, sick = (
        awaited.add(Job(tmp_path, error)) for error in (OSError(116, "Stale file handle"), ValueError("odd"))
    )
    with pytest.raises(NATError, match="Stale file handle"):
        stale.result(timeout=30)
    with pytest.raises(ValueError, match="odd"):
        sick.result(timeout=30)
    assert awaited.add(Job(tmp_path, 7)).result(timeout=30) == 7


def test_its_thread_ends_with_it_and_nobody_waits_for_what_is_left(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    awaited = AwaitedJobs(tmp_path, 60.0, LookupError)
    (thread,) = set(threading.enumerate()) - before
    left = awaited.add(Job(tmp_path, 7, ends=False))
    awaited.close()
    assert isinstance(left.exception(timeout=30), LookupError)
    thread.join(timeout=30)
    assert not thread.is_alive()
