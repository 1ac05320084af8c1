"""Units in processes of their own, or one after the other in this one."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection, get_context, parent_process

from nat_plugin.comparisons.units import Note, Unit, Work, do_unit
from nat_plugin.errors import NATError
from nat_plugin.plugins import plugins

LOOK = 5.0
"""Seconds after which it is looked what other processes have done."""


def doing(work: Work, todo: Sequence[Unit], wanted: list[str], processes: int, note: Note) -> Iterator[None]:
    """Do all units, and yield whenever some search may be done. NATError if one of them cannot be done. ``note`` hears
    of what goes on in this process."""
    if processes == 1 or len(todo) < 2:
        for unit in todo:
            for _ in do_unit(work, unit, wanted, plugins(), note):
                yield
        return
    pool = ProcessPoolExecutor(min(processes, len(todo)), get_context("spawn"), _die_with_parent)
    try:
        waiting = {pool.submit(_in_child, work, unit, wanted) for unit in todo}
        while waiting:
            done, waiting = wait(waiting, LOOK, FIRST_COMPLETED)
            for problem in (future.result() for future in done):
                if problem is not None:
                    raise NATError(problem)
            yield
    except BrokenProcessPool:
        raise NATError(
            "a process of the comparison was killed (out of memory?); go on with fewer --processes"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _in_child(work: Work, unit: Unit, wanted: list[str]) -> str | None:
    """What went wrong, as errors of several lines do not travel between processes as they are."""
    try:
        for _ in do_unit(work, unit, wanted, plugins()):
            pass
    except NATError as error:
        return str(error)
    return None


def _die_with_parent() -> None:
    """A process whose parent was killed would wait for work for ever."""
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
