"""Parts of a long stream worked on side by side, with results in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import chain, islice
from multiprocessing import get_all_start_methods, get_context
from typing import Any, TypeVar

FEW = 4
"""Parts for which no process is started."""
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
    work: Callable[[_Part], _Result], parts: Iterator[_Part], processes: int | None = None
) -> Iterator[_Result]:
    """``work`` of every part. Of a long stream by forked processes, as many as there are cores: they share what was
    imported and loaded; parts and results are sent. A few parts are kept under way, so the stream may be endless."""
    count = min(MOST, cores()) if processes is None else processes
    first = list(islice(parts, FEW))
    if count < 2 or len(first) < FEW or "fork" not in get_all_start_methods():
        yield from map(work, chain(first, parts))
        return
    global _work
    _work = work
    with ProcessPoolExecutor(count, get_context("fork")) as pool:
        waiting: deque[Future[_Result]] = deque()
        try:
            for part in chain(first, parts):
                waiting.append(pool.submit(_run, part))
                if len(waiting) > 2 * count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            _work = None
            for each in waiting:
                each.cancel()


def _run(part: Any) -> Any:
    assert _work is not None
    return _work(part)
