"""The executor ``local``: this process where one is enough, else as many of this machine as there are workers."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from nat_plugin.execution.base import Executor, ExecutorSettings
from nat_plugin.processes import WorkerPool


class LocalExecutor(Executor):
    """Processes of this machine; with one worker this process itself.

    Every worker is a pool of one process, so that one that dies takes no other call with it.
    """

    def __init__(self, settings: ExecutorSettings, folder: Path) -> None:
        super().__init__(settings, folder)
        self._pools: list[WorkerPool] = []
        self._busy: dict[Future[Any], WorkerPool] = {}

    @property
    def here(self) -> bool:
        return self.workers == 1

    @property
    def lost(self) -> tuple[type[BaseException], ...]:
        return (BrokenProcessPool,)

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
        if self.here:
            done: Future[Any] = Future()
            done.set_result(function(*arguments))
            return done
        pool = self._free()
        future = pool.submit(function, *arguments)
        self._busy[future] = pool
        return future

    def _free(self) -> WorkerPool:
        """One that is at nothing, or else that which has been given work least often of late."""
        for future in [each for each in self._busy if each.done()]:
            pool = self._busy.pop(future)
            if isinstance(future.exception(), BrokenProcessPool) and pool in self._pools:
                pool.close()
                self._pools.remove(pool)
        at_work = list(self._busy.values())
        idle = next((pool for pool in self._pools if pool not in at_work), None)
        if idle is None and len(self._pools) < self.workers:
            idle = WorkerPool(1, "spawn")
            self._pools.append(idle)
        return min(self._pools, key=at_work.count) if idle is None else idle

    def close(self, at_once: bool) -> None:
        for pool in self._pools:
            if at_once:
                pool.end()
        for pool in self._pools:
            pool.close()
        self._pools.clear()
        self._busy.clear()
