"""Parts of a long stream worked on side by side, with results in order, each as soon as it can be given."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from itertools import chain, islice
from multiprocessing import get_all_start_methods
from typing import Any, TypeVar

from nat_plugin.processes import workers

FEW = 4
"""The first parts, for which no process is started."""
MOST = 4
"""Processes."""

_Part = TypeVar("_Part")
_Result = TypeVar("_Result")
_work: Callable[[Any], Any] | None = None
"""What forked processes inherit."""


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def side_by_side(
    work: Callable[[_Part], _Result],
    parts: Iterator[_Part],
    processes: int | None = None,
    ready: Callable[[], bool] = lambda: True,
) -> Iterator[_Result]:
    """``work`` of every part. Of a long stream by forked processes, as many as there are cores: they share what was
    imported and loaded; parts and results are sent. A few parts are kept under way, so the stream may be endless; no
    result waits for a part that is not ``ready`` to be read."""
    yield from map(work, islice(parts, FEW))
    count = min(MOST, cores()) if processes is None else processes
    following = list(islice(parts, 1))
    if count < 2 or not following or "fork" not in get_all_start_methods():
        yield from map(work, chain(following, parts))
        return
    global _work
    _work = work
    waiting: deque[Future[_Result]] = deque()
    try:
        with workers(count, "fork", "what came before is done; give the rest again") as submit:
            for part in chain(following, parts):
                waiting.append(submit(_run, part))
                while waiting and (waiting[0].done() or len(waiting) > 2 * count or not ready()):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
    finally:
        _work = None


def _run(part: Any) -> Any:
    assert _work is not None
    return _work(part)
