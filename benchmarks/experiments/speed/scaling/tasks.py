"""What a task costs beside its work: tasks without any, handed out to workers that have begun, real or pretended."""

from __future__ import annotations

import operator
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import patch

from benchmarks.experiments.speed.scaling.memory import memory
from benchmarks.experiments.speed.scaling.work import EXECUTORS
from nat_plugin.execution import local
from nat_plugin.execution.base import Executor, ExecutorSettings
from nat_plugin.execution.calls import ExecutorCall, answers
from nat_plugin.execution.choosing import chosen_executor, find_executor
from nat_plugin.execution.local import LocalExecutor
from nat_plugin.plugins import plugins

nothing = operator.index
"""A task without work, of a module that every process has: what it costs is its own."""


class PretendedPool:
    """Stands in for a process, of which no machine has so many: what it is given is done at once, behind what else is
    under way."""

    waiting: ClassVar[deque[tuple[Future[Any], partial[Any]]]] = deque()

    def __init__(self, *_: Any) -> None: ...

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.waiting.append((future, partial(function, *arguments)))
        return future

    def close(self) -> None: ...


class PretendedExecutor(Executor):
    """An engine of which no more is known than how many workers it has."""

    @property
    def lost(self) -> tuple[type[BaseException], ...]:
        return ()

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
        return PretendedPool().submit(function, *arguments)

    def close(self, at_once: bool) -> None: ...


def in_flight(engine: str, workers: int, tasks: int, folder: Path) -> float:
    """Milliseconds of this process for a task without work while so many are under way: of the loop that hands them
    out and, with local workers, of what is kept of each."""
    kind = LocalExecutor if engine == "local" else PretendedExecutor
    waiting, numbers = PretendedPool.waiting, iter(range(tasks + workers))

    def following() -> ExecutorCall[int] | None:
        if len(waiting) >= workers - 1:  # the one that has waited longest is done meanwhile
            future, call = waiting.popleft()
            future.set_result(call())
        number = next(numbers, None)
        return None if number is None else ExecutorCall(number, nothing, (number,))

    with patch.object(local, "WorkerPool", PretendedPool), kind(ExecutorSettings(workers=workers), folder) as executor:
        found = answers(executor, following)
        for _ in range(workers):  # until all are under way
            next(found)
        since = time.process_time()
        for _ in range(tasks - workers):
            next(found)
        took = time.process_time() - since
        waiting.clear()
    return 1000 * took / (tasks - workers)


def begun(engine: str, workers: int, folder: Path) -> Executor:
    return find_executor(*chosen_executor({**EXECUTORS[engine], "workers": workers}, plugins()), folder, plugins())


def overhead(engine: str, workers: int, counts: list[int], folder: Path) -> list[dict[str, float]]:
    """Of tasks without work: milliseconds of each, once workers are there, of them those that this process computed,
    and its memory before and after."""
    rows = []
    with begun(engine, workers, folder) as executor:
        _all(executor, workers)  # so that they have begun
        for count in counts:
            before, since, computed = memory(), time.perf_counter(), time.process_time()
            assert _all(executor, count) == count * (count - 1) // 2
            took, computed = time.perf_counter() - since, time.process_time() - computed
            row = {"ms": 1000 * took / count, "ms_command": 1000 * computed / count}
            rows.append({"tasks": count, **row, "mb_before": before, "mb_after": memory()})
    return rows


def _all(executor: Executor, count: int) -> int:
    calls = iter(ExecutorCall(number, nothing, (number,)) for number in range(count))
    return sum(answer.value for answer in answers(executor, lambda: next(calls, None)))
