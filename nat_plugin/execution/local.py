"""The executor ``local``: this process where one is enough, else as many of this machine as there are workers."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_all_start_methods, get_context
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from nat_plugin.execution.base import Executor, ExecutorSettings
from nat_plugin.execution.carrying import Returned
from nat_plugin.processes import GPU_OF_WORKER, WorkerPool

DEVICES = Path("/dev")
"""Where a GPU is a file."""
_PRELOADED = ["nat_plugin.comparisons.searching", "nat_plugin.runs.workers", "torch._dynamo"]
"""Imported once, by the process that workers are forked from: a new one is there at once, and memory is shared."""


def _start_method() -> str:
    """Nothing is forked from this process, which may have threads, or a GPU in use."""
    if "forkserver" not in get_all_start_methods():
        return "spawn"
    get_context("forkserver").set_forkserver_preload(_PRELOADED)
    return "forkserver"


def visible_gpus() -> list[str]:
    """Those of this machine that its processes may use, as ``CUDA_VISIBLE_DEVICES`` says them. CUDA is not asked: a
    process that has asked it keeps memory of a GPU."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [each.strip() for each in given.split(",") if each.strip() not in ("", "-1")]
    return [str(number) for number, _ in enumerate(DEVICES.glob("nvidia[0-9]*"))]


class LocalExecutor(Executor):
    """Processes of this machine; with one worker the command's own process, unless there is a ``timeout``.

    Every worker is a pool of one process, so that one that dies takes no other call with it.
    """

    grace = 300.0

    def __init__(self, settings: ExecutorSettings, folder: Path) -> None:
        super().__init__(settings, folder)
        self._pools: dict[WorkerPool, int] = {}
        """By each, how many calls it has."""
        self._gpus: dict[WorkerPool, str] = {}
        self._idle: deque[WorkerPool] = deque()
        self._busy: dict[Future[Any], WorkerPool] = {}
        self._done: SimpleQueue[Future[Any]] = SimpleQueue()
        """Of the busy ones."""

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
            self._end(pool)
            return self.submit(function, *arguments)
        except (EOFError, OSError) as error:  # there is no process for it: what it is forked from was killed as well
            future = Future()
            future.set_exception(BrokenProcessPool(f"none could be begun: {error}"))
        self._busy[future] = pool
        self._pools[pool] += 1
        future.add_done_callback(self._done.put)
        return future

    def _free(self) -> WorkerPool:
        """One that is at nothing, or else that which has the fewest calls."""
        while not self._done.empty():
            future = self._done.get()
            pool = self._busy.pop(future)
            if pool in self._pools:
                self._pools[pool] -= 1
                if _came_to_nothing(future):
                    self._end(pool)
                elif not self._pools[pool]:
                    self._idle.append(pool)
        while self._idle:
            if (pool := self._idle.pop()) in self._pools:
                return pool
        if len(self._pools) < self.workers:
            return self._new()
        return min(self._pools, key=self._pools.__getitem__)

    def _new(self) -> WorkerPool:
        """With the GPU that fewest have."""
        gpus = dict.fromkeys(visible_gpus(), 0)
        for gpu in self._gpus.values():
            gpus[gpu] += 1
        gpu = min(gpus, key=gpus.__getitem__, default="")
        pool = WorkerPool(1, _start_method(), {GPU_OF_WORKER: gpu} if gpu else {})
        self._pools[pool] = 0
        if gpu:
            self._gpus[pool] = gpu
        return pool

    def shun(self, future: Future[Any], worker: str) -> None:
        del worker  # its pool is known
        if (pool := self._busy.get(future)) is not None:  # else `_free` has ended it
            self._end(pool)

    def _end(self, pool: WorkerPool) -> None:
        if self._pools.pop(pool, None) is not None:
            self._gpus.pop(pool, None)
            pool.end()
            pool.close()

    def close(self, at_once: bool) -> None:
        for pool in self._pools:
            if at_once:
                pool.end()
        for pool in self._pools:
            pool.close()
        self._pools.clear()
        self._gpus.clear()
        self._idle.clear()
        self._busy.clear()


def _came_to_nothing(future: Future[Any]) -> bool:
    """Of a call that is over."""
    if future.exception() is not None:
        return True
    returned = future.result()
    return isinstance(returned, Returned) and returned.failed
