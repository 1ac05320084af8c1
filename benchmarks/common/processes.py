"""Work on several cores, or in this process alone."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any


class ThisProcess(Executor):
    """Does at once what it is asked to do."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        found: Future[Any] = Future()
        found.set_result(function(*args, **kwargs))
        return found


def workers(processes: int) -> Executor:
    """So many fresh processes; with one this process itself, which has loaded everything."""
    return ThisProcess() if processes == 1 else ProcessPoolExecutor(processes, get_context("spawn"))
