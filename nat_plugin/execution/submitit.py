"""The executor ``submitit``: every call a job of SLURM, or of this machine."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from nat_plugin.errors import NATError
from nat_plugin.execution.base import Executor, ExecutorSettings
from nat_plugin.files import ReadError, file_errors, open_own, read_bytes, read_text, write_all

JOBS = "jobs"
"""The folder of what goes to jobs and comes back, within that of the results."""
_NAMES = "names.jsonl"
"""Which job is of which call, for a process that comes after one that was killed."""
_ERRORS = "errors.log"
"""What processes of this machine say that have a job each, as where they are ended."""
_MAX_NAMES, _MAX_COMMAND = 2**30, 2**20
"""Bytes that are read of these names, and of the command of a process."""
USUAL_WORKERS = 16
A_DAY = 1440
"""Minutes that a job has, where nobody says how many: submitit would give it 2 or 5."""


class SubmititSettings(ExecutorSettings):
    """Settings of ``submitit``."""

    cluster: Literal["slurm", "local", "debug"] = Field(
        default="slurm", description="slurm; local: processes of this machine; debug: this process itself"
    )
    parameters: dict[str, Any] = Field(
        default={},
        description="of every job, by the names of submitit: {timeout_min: 240, slurm_partition: gpu}; without "
        "timeout_min a job has a day, or a little more than `timeout`",
    )


class SubmititExecutor(Executor):
    """Jobs of SLURM through submitit. The folder of the results has to be on a disk that all nodes see."""

    Settings = SubmititSettings
    settings: SubmititSettings
    package, extra = "submitit", "slurm"

    def __init__(self, settings: SubmititSettings, folder: Path) -> None:
        super().__init__(settings, folder)
        import submitit

        self._lost_job: type[BaseException] = submitit.core.utils.UncompletedJobError
        self._jobs_of: Path = (folder / JOBS).absolute()
        minutes = A_DAY if settings.timeout is None else math.ceil(settings.timeout / 60) + 5
        try:
            self._submitit: Any = submitit.AutoExecutor(self._jobs_of, cluster=settings.cluster)
            self._submitit.update_parameters(**{"timeout_min": minutes, **settings.parameters})
        except (RuntimeError, NameError, TypeError, ValueError, AssertionError) as error:
            raise NATError(f"executor: submitit refuses this: {error}") from error
        self._waiting = ThreadPoolExecutor(self.workers)  # each waits for a job, as submitit does it
        self._under_way: dict[Future[Any], Any] = {}
        self._any_lost = False
        kinds = {"slurm": submitit.SlurmJob, "local": submitit.LocalJob}
        self._left = self._found_again(kinds[settings.cluster]) if settings.cluster in kinds else {}

    def _found_again(self, kind: Any) -> dict[str, Any]:
        """Jobs of a process that was killed, by the names of their calls: those of SLURM that are done or go on. Of
        this machine's own, which nobody can wait for, what goes on is ended."""
        path, found = self._jobs_of / _NAMES, {}
        for line in read_text(path, _MAX_NAMES, "names of jobs").splitlines() if path.is_file() else ():
            with suppress(ValueError, KeyError, TypeError):  # the last line may be half written
                known = json.loads(line)
                job = kind(folder=self._jobs_of, job_id=str(int(known["job"])))
                if job.paths.result_pickle.exists():
                    found[str(known["name"])] = job
                elif self.settings.cluster == "local":
                    _interrupt(int(known["job"]), self._jobs_of)
                elif not job.done(force_check=True):
                    found[str(known["name"])] = job
        return found

    @property
    def workers(self) -> int:
        return self.settings.workers or (1 if self.settings.cluster == "debug" else USUAL_WORKERS)

    @property
    def lost(self) -> tuple[type[BaseException], ...]:
        return (self._lost_job,)

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
        is_of_processes = self.settings.cluster == "local"
        with file_errors(self._jobs_of), _errors_into(self._jobs_of / _ERRORS) if is_of_processes else nullcontext():
            return self._awaited(self._submitit.submit(function, *arguments))

    def begin(self, name: str, function: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
        if (job := self._left.pop(name, None)) is not None:
            return self._awaited(job)
        future = self.submit(function, *arguments)
        if self.settings.cluster != "debug":
            path = self._jobs_of / _NAMES
            line = json.dumps({"name": name, "job": self._under_way[future].job_id}) + "\n"
            with file_errors(path):
                handle = open_own(path)
                try:
                    write_all(handle, line.encode())
                finally:
                    os.close(handle)
        return future

    def _awaited(self, job: Any) -> Future[Any]:
        future = self._waiting.submit(self._result, job)
        self._any_lost |= any(isinstance(each.exception(), self.lost) for each in self._under_way if each.done())
        self._under_way = {each: its for each, its in self._under_way.items() if not each.done()}
        self._under_way[future] = job
        return future

    def _result(self, job: Any) -> Any:
        with file_errors(self._jobs_of):
            return job.result()

    def close(self, at_once: bool) -> None:
        ended = [job for future, job in self._under_way.items() if not future.done()]
        for job in (*ended, *self._left.values()):
            job.cancel(check=False)
        self._waiting.shutdown(wait=not at_once, cancel_futures=True)
        if not at_once and not self._any_lost:  # else what the jobs printed is kept
            shutil.rmtree(self._jobs_of, ignore_errors=True)


@contextmanager
def _errors_into(path: Path) -> Iterator[None]:
    """Processes that are begun meanwhile write their standard error there: one that is ended prints a traceback."""
    kept = os.dup(2)
    try:
        with path.open("ab") as log:
            os.dup2(log.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _interrupt(process: int, jobs: Path) -> None:
    """End a job of this machine, where that number is one of those still."""
    with suppress(OSError, ReadError):
        command = read_bytes(Path(f"/proc/{process}/cmdline"), _MAX_COMMAND, "the command of a process")
        if b"submitit" in command and os.fsencode(jobs) in command:
            os.kill(process, signal.SIGINT)
