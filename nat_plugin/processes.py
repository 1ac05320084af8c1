"""Processes that work for this one, and end with it however it ends."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import connection, get_context, parent_process
from types import MappingProxyType
from typing import Any, TypeAlias

from nat_plugin.errors import NATError

PASSED_ON = "NAT_"
"""What the names of environment variables begin with that processes get which work for this one."""
GPU_OF_WORKER = f"{PASSED_ON}WORKER_GPU"
"""The environment variable of a worker that says which GPU it has, where it is to use any."""
WAITS_FOR_READERS = sys.version_info < (3, 11, 5) and os.name == "posix"
"""Whether a pool whose process died waits until its calls are written, which nobody reads (python/cpython#94777)."""
Submit: TypeAlias = Callable[..., Future[Any]]
"""As ``Executor.submit``."""


class WorkerPool:
    """So many processes, which end with this one however it ends."""

    def __init__(self, count: int, method: str, environment: Mapping[str, str] = MappingProxyType({})) -> None:
        """``environment``: variables that they have besides those which are passed on."""
        context = get_context(method)
        self._reading, self._writing = context.Pipe(duplex=False)
        passed_on = {name: value for name, value in os.environ.items() if name.startswith(PASSED_ON)}
        self._executor = ProcessPoolExecutor(count, context, _begin, (self._reading, {**passed_on, **environment}))
        self._calls = os.dup(self._executor._call_queue._reader.fileno()) if WAITS_FOR_READERS else None  # type: ignore[attr-defined]
        """The end of the pipe that its processes read calls from; a number of our own, which nobody else closes."""

    def submit(self, *call: Any) -> Future[Any]:
        with deaf():
            return self._executor.submit(*call)

    def end(self) -> None:
        """Have them end at once, whatever they are at: also those that begin now, and those that hear nothing."""
        self._writing.send(None)
        for process in list((self._executor._processes or {}).values()):
            process.kill()
        if self._calls is not None:
            threading.Thread(target=_read_to_the_end, args=(self._calls,), daemon=True).start()
            self._calls = None

    def close(self) -> None:
        """Wait until they have ended; what was not begun is dropped."""
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._reading.close()
        self._writing.close()
        if self._calls is not None:
            os.close(self._calls)
            self._calls = None


@contextmanager
def workers(count: int, method: str, advice: str) -> Iterator[Submit]:
    """So many processes to give work to. Where this is left by an error or Ctrl-C they are ended at once. NATError,
    with ``advice``, if one of them was killed."""
    pool = WorkerPool(count, method)
    try:
        yield pool.submit
    except BaseException as error:
        pool.end()
        if isinstance(error, BrokenProcessPool):
            raise NATError(f"a worker process was killed (out of memory?); {advice}") from error
        raise
    finally:
        pool.close()


def _begin(stop: connection.Connection, environment: Mapping[str, str]) -> None:
    """In the new process. One whose parent was killed would wait for work for ever; and Ctrl-C, which reaches all
    processes of a terminal, is for the parent to answer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update(environment)  # it may be forked from a process that began before these were set
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        connection.wait([parent.sentinel, stop])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _read_to_the_end(pipe: int) -> None:
    while os.read(pipe, 2**20):
        pass
    os.close(pipe)


@contextmanager
def deaf() -> Iterator[None]:
    """Ctrl-C waits until this is left; processes that are begun within do not hear it at all. Where the system cannot
    have it wait, it does not."""
    if not hasattr(signal, "pthread_sigmask") or threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, _: came.append(number))  # another thread may be given it
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # which is inherited
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        signal.signal(signal.SIGINT, handler)
        if came:
            signal.raise_signal(signal.SIGINT)
