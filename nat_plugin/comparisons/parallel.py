"""Units in processes of their own, or one after the other in this one."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection, get_context, parent_process

from nat_plugin.comparisons.units import Unit, Work, do_unit
from nat_plugin.errors import NATError
from nat_plugin.plugins import plugins


def each_done(work: Work, todo: Sequence[Unit], wanted: list[str], processes: int) -> Iterator[Unit]:
    """Do all units, and yield each when it is done. NATError if one of them cannot be done."""
    if processes == 1 or len(todo) < 2:
        for unit in todo:
            do_unit(work, unit, wanted, plugins())
            yield unit
        return
    pool = ProcessPoolExecutor(min(processes, len(todo)), get_context("spawn"), _die_with_parent)
    try:
        waiting = {pool.submit(_in_child, work, unit, wanted): unit for unit in todo}
        for future in as_completed(waiting):
            problem = future.result()
            if problem is not None:
                raise NATError(problem)
            yield waiting[future]
    except BrokenProcessPool:
        raise NATError(
            "a process of the comparison was killed (out of memory?); go on with fewer --processes"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _in_child(work: Work, unit: Unit, wanted: list[str]) -> str | None:
    """What went wrong, as errors of several lines do not travel between processes as they are."""
    try:
        do_unit(work, unit, wanted, plugins())
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
