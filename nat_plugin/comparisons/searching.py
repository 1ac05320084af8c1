"""The searches of a comparison, carried out by an executor; this process alone writes what comes of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nat_plugin.comparisons.search import SearchTrace
from nat_plugin.comparisons.units import Note, SearchTask, Work, carry_out, path_of, write_trace
from nat_plugin.errors import NATError
from nat_plugin.execution.base import Executor
from nat_plugin.execution.calls import ExecutorCall, answers
from nat_plugin.execution.tally import Tally
from nat_plugin.plugins import Plugins, plugins
from nat_plugin.runs.worker_files import WorkFile


def do_searches(
    work: Work, tasks: Sequence[SearchTask], executor: Executor, known: Plugins, note: Note
) -> Iterator[int]:
    """Do all tasks, keep each search as soon as it is here, and yield how many came together. NATError if one cannot be
    done; those that a worker died at are named once all others are done. ``note`` hears of what goes on in this
    process, or of what workers do."""
    if executor.here:
        for task in tasks:
            for label, trace in carry_out(task, known, note):
                write_trace(work, label, task.unit, trace)
                yield 1
        return
    calls = iter(ExecutorCall(task, traces_of, (task,), _name(work, task)) for task in tasks)
    lost: list[str] = []
    tally, work_file = Tally(), WorkFile(work.folder)
    for answer in answers(executor, lambda: next(calls, None), lambda under_way: note(f"{tally}, {under_way}")):
        tally.add(answer)
        work_file.write(tally)
        unit = answer.subject.unit
        if answer.lost is not None:
            labels = ", ".join(answer.subject.labels)
            lost.append(f"{labels}, input {unit.source + 1}, seed {unit.seed + 1}: {answer.lost}")
            continue
        for label, trace in answer.value:
            write_trace(work, label, unit, trace)
        yield len(answer.value)
    note(str(tally))
    if lost:
        more = f", and {len(lost) - 1:,} more" if len(lost) > 1 else ""
        raise NATError(f"{lost[0]}{more}; all other searches are done, and the same command tries these again")


def _name(work: Work, task: SearchTask) -> str:
    return "+".join(path_of(work, label, task.unit).stem for label in task.labels)


def traces_of(task: SearchTask) -> list[tuple[str, SearchTrace]]:
    """In a worker: what comes of the searches of a task, by their labels."""
    return list(carry_out(task, plugins()))
