"""Worker processes are ended by no more than one closing of each pipe."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection

import pytest

from nat_plugin.processes import WorkerPool


def test_a_pool_that_is_ended_while_it_notices_closes_nothing_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    failed: list[object] = []
    monkeypatch.setattr(threading, "excepthook", lambda found: failed.append(found.exc_value))

    def slowly(reader: Connection) -> None:
        time.sleep(0.2)  # both are between asking whether it is open and closing it
        os.close(reader._handle)  # type: ignore[attr-defined]

    pool = WorkerPool(1, "spawn")
    future = pool.submit(time.sleep, 60)
    monkeypatch.setattr(Connection, "_close", slowly)
    pool.end()
    with pytest.raises(BrokenProcessPool):
        future.result(timeout=60)
    pool.close()
    assert failed == []
