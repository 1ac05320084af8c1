"""The executor ``local``: this process where one is enough, else as many of this machine as there are workers."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_all_start_methods, get_context
from pathlib import Path
from typing import Any

from nat_plugin.execution.base import Executor, ExecutorSettings
from nat_plugin.processes import WorkerPool

_PRELOADED = ["nat_plugin.comparisons.searching", "nat_plugin.runs.workers", "torch._dynamo"]
"""Imported once, by the process that workers are forked from: a new one is there at once, and memory is shared."""


def _start_method() -> str:
    """Nothing is forked from this process, which may have threads, or a GPU in use."""
    if "forkserver" not in get_all_start_methods():
        return "spawn"
    get_context("forkserver").set_forkserver_preload(_PRELOADED)
    return "forkserver"


class LocalExecutor(Executor):
    """Processes of this machine; with one worker this process itself, unless there is a ``timeout``.

    Every worker is a pool of one process, so that one that dies takes no other call with it.
    """

    def __init__(self, settings: ExecutorSettings, folder: Path) -> None:
        super().__init__(settings, folder)
        self._pools: list[WorkerPool] = []
        self._busy: dict[Future[Any], WorkerPool] = {}

    @property
    def here(self) -> bool:
        return self.workers == 1 and self.settings.timeout is None  # this process cannot be ended

    @property
    def lost(self) -> tuple[type[BaseException], ...]:
        return (BrokenProcessPool,)

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
        if self.here:
            done: Future[Any] = Future()
            done.set_result(function(*arguments))
            return done
        pool = self._free()
        try:
            future = pool.submit(function, *arguments)
        except BrokenProcessPool:  # its process was killed while it was at nothing
            self._drop(pool)
            return self.submit(function, *arguments)
        except (EOFError, OSError) as error:  # there is no process for it: what it is forked from was killed as well
            future = Future()
            future.set_exception(BrokenProcessPool(f"none could be begun: {error}"))
        self._busy[future] = pool
        return future

    def _free(self) -> WorkerPool:
        """One that is at nothing, or else that which has been given work least often of late."""
        for future in [each for each in self._busy if each.done()]:
            pool = self._busy.pop(future)
            if isinstance(future.exception(), BrokenProcessPool):
                self._drop(pool)
        at_work = list(self._busy.values())
        idle = next((pool for pool in self._pools if pool not in at_work), None)
        if idle is None and len(self._pools) < self.workers:
            idle = WorkerPool(1, _start_method())
            self._pools.append(idle)
        return min(self._pools, key=at_work.count) if idle is None else idle

    def _drop(self, pool: WorkerPool) -> None:
        if pool in self._pools:
            self._pools.remove(pool)
            pool.close()

    def close(self, at_once: bool) -> None:
        for pool in self._pools:
            if at_once:
                pool.end()
        for pool in self._pools:
            pool.close()
        self._pools.clear()
        self._busy.clear()
