"""Units in processes of their own, or one after the other in this one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, wait

from nat_plugin.comparisons.units import Note, SearchUnit, Work, do_unit
from nat_plugin.errors import NATError, show_trace
from nat_plugin.plugins import plugins
from nat_plugin.processes import workers

LOOK = 5.0
"""Seconds after which it is looked what other processes have done."""


def doing(work: Work, todo: Sequence[SearchUnit], wanted: list[str], processes: int, note: Note) -> Iterator[None]:
    """Do all units, and yield whenever some search may be done. NATError if one of them cannot be done. ``note`` hears
    of what goes on in this process."""
    if processes == 1 or len(todo) < 2:
        for unit in todo:
            for _ in do_unit(work, unit, wanted, plugins(), note):
                yield
        return
    with workers(min(processes, len(todo)), "spawn", "go on with fewer --processes") as submit:
        waiting = {submit(_in_child, work, unit, wanted) for unit in todo}
        while waiting:
            done, waiting = wait(waiting, LOOK, FIRST_COMPLETED)
            for problem in (future.result() for future in done):
                if problem is not None:
                    raise NATError(problem)
            yield


def _in_child(work: Work, unit: SearchUnit, wanted: list[str]) -> str | None:
    """What went wrong, as errors of several lines do not travel between processes as they are."""
    try:
        for _ in do_unit(work, unit, wanted, plugins()):
            pass
    except NATError as error:
        show_trace(error)
        return str(error)
    return None
