"""The executor ``submitit``: every call a job of SLURM, or of this machine."""

from __future__ import annotations

import io
import json
import math
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stderr, suppress
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from nat_plugin.errors import NATError
from nat_plugin.execution.base import Executor, ExecutorSettings
from nat_plugin.execution.carrying import Returned
from nat_plugin.execution.jobs import AwaitedJobs
from nat_plugin.files import ReadError, file_errors, open_own, read_bytes, read_text, write_all
from nat_plugin.processes import deaf
from nat_plugin.runs.folder import JOBS

_NAMES = "names.jsonl"
"""Which job is of which call, for a process that comes after one that was killed."""
_SUBMITTED = "_submitted.pkl"
"""Ends the name of the file that a job reads its call from; the number of the job comes before it."""
_ERRORS = "errors.log"
"""What processes of this machine say that have a job each, as where they are ended."""
_MAX_NAMES, _MAX_COMMAND = 2**30, 2**20
"""Bytes that are read of these names, and of the command of a process."""
USUAL_WORKERS = 16
PAUSES = (1.0, 5.0, 20.0)
"""Seconds until a job that was refused is submitted again."""
MORE_MINUTES = 5
"""That a job has beyond `timeout`, and that are waited beyond its time for one that SLURM does not know any more."""
A_DAY = 1440
"""Minutes that a job has, where nobody says how many: submitit would give it 2 or 5."""


class SubmititSettings(ExecutorSettings):
    """Settings of ``submitit``."""

    cluster: Literal["slurm", "local", "debug"] = Field(
        default="slurm", description="slurm; local: processes of this machine; debug: this process itself"
    )
    parameters: dict[str, Any] = Field(
        default={},
        description="parameters of every job, by submitit's names: {timeout_min: 240, slurm_partition: gpu}; without "
        "timeout_min a job may take a day, or a little more than `timeout`",
    )


class SubmititExecutor(Executor):
    """Jobs of SLURM through submitit. The folder of the results must be on a disk that all nodes can read."""

    Settings = SubmititSettings
    settings: SubmititSettings
    package, extra = "submitit", "slurm"

    def __init__(self, settings: SubmititSettings, folder: Path) -> None:
        super().__init__(settings, folder)
        import submitit

        self._lost_job: type[BaseException] = submitit.core.utils.UncompletedJobError
        self._jobs_of: Path = (folder / JOBS).absolute()
        minutes = A_DAY if settings.timeout is None else math.ceil(settings.timeout / 60) + MORE_MINUTES
        kinds = {"slurm": submitit.SlurmJob, "local": submitit.LocalJob}
        own = {f"{settings.cluster}_max_pickle_size_gb": math.inf} if settings.cluster in kinds else {}  # else 1 GB
        try:
            self._submitit: Any = submitit.AutoExecutor(self._jobs_of, cluster=settings.cluster, **own)
            self._submitit.update_parameters(**{"timeout_min": minutes, **settings.parameters})
        except (RuntimeError, NameError, TypeError, ValueError, AssertionError) as error:
            raise NATError(f"executor: submitit refuses this: {error}") from error
        allowed = 60 * (float(settings.parameters.get("timeout_min", minutes)) + MORE_MINUTES)
        self._awaited = AwaitedJobs(self._jobs_of, allowed, self._lost_job)
        self._any_lost = False
        self._left = self._found_again(kinds[settings.cluster]) if settings.cluster in kinds else {}

    def _found_again(self, kind: Any) -> dict[str, Any]:
        """Jobs of a process that was killed, by the names of their calls: the last of each that is done, or that goes
        on and can be waited for, which this machine's own cannot. All others are ended; of this machine's own the
        numbers may be those of other jobs in SLURM, whose jobs have a script."""
        names, found = self._names(), dict[str, Any]()
        jobs = [kind(folder=self._jobs_of, job_id=number) for number in self._numbers()]
        if jobs and self.settings.cluster == "slurm":
            kind.watcher.update_if_long_enough("force")
        for job in jobs:
            name = names.get(job.job_id)
            if job.paths.result_pickle.exists():
                found |= {} if name is None else {name: job}
            elif self.settings.cluster == "local":
                _interrupt(int(job.job_id), self._jobs_of)
            elif job.paths.submission_file.exists() and not kind.watcher.is_done(job.job_id, mode="cache"):
                if name is not None and kind.watcher.get_state(job.job_id, mode="cache") != "UNKNOWN":
                    found[name] = job
                else:
                    job.cancel(check=False)
        return found

    def _numbers(self) -> Iterator[str]:
        """Of all jobs that were begun for these results."""
        numbers = (path.name.removesuffix(_SUBMITTED) for path in self._jobs_of.glob(f"*{_SUBMITTED}"))
        return (number for number in numbers if number.isdecimal())

    def _names(self) -> dict[str, str]:
        """Of calls, by the number of the job that was begun last for each."""
        path, last = self._jobs_of / _NAMES, dict[str, str]()
        for line in read_text(path, _MAX_NAMES, "names of jobs").splitlines() if path.is_file() else ():
            with suppress(ValueError, KeyError, TypeError):  # a line may be half written
                known = json.loads(line)
                last[str(known["name"])] = str(int(known["job"]))
        return {number: name for name, number in last.items()}

    @property
    def workers(self) -> int:
        return self.settings.workers or (1 if self.settings.cluster == "debug" else USUAL_WORKERS)

    @property
    def lost(self) -> tuple[type[BaseException], ...]:
        return (self._lost_job,)

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
        return self._begun(function, arguments)[1]

    def begin(self, name: str, function: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
        if (job := self._left.pop(name, None)) is not None and not _came_to_nothing(job):
            return self._future(job)
        job, future = self._begun(function, arguments)
        if name and self.settings.cluster != "debug":
            path = self._jobs_of / _NAMES
            line = "\n" + json.dumps({"name": name, "job": job.job_id})  # what was written last may be cut off
            with file_errors(path):
                handle = open_own(path)
                try:
                    write_all(handle, line.encode())
                finally:
                    os.close(handle)
        return future

    def _begun(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, Future[Any]]:
        pauses = iter(PAUSES)
        while True:
            try:
                with self._whole(), file_errors(self._jobs_of), self._quiet():
                    job = self._submitit.submit(function, *arguments)
                    return job, self._future(job)
            except RuntimeError as error:  # also of a scheduler that has too many jobs, or too much to do
                if (pause := next(pauses, None)) is None:
                    why = " ".join(str(error).split())[:300]
                    raise NATError(f"executor: a job was refused {len(PAUSES) + 1} times: {why}") from error
                time.sleep(pause)

    def _whole(self) -> AbstractContextManager[object]:
        """Ctrl-C comes before or after: nobody would end a job that SLURM has taken and that is not known here. One of
        this machine ends by it."""
        return deaf() if self.settings.cluster == "slurm" else nullcontext()

    def _quiet(self) -> AbstractContextManager[object]:
        """What submitit and jobs of this machine print beside what they raise is for nobody."""
        if self.settings.cluster == "local":
            return _errors_into(self._jobs_of / _ERRORS)
        return redirect_stderr(io.StringIO())

    def _future(self, job: Any) -> Future[Any]:
        future = self._awaited.add(job)
        future.add_done_callback(self._note_lost)
        return future

    def _note_lost(self, future: Future[Any]) -> None:
        self._any_lost |= isinstance(future.exception(), self.lost)

    def close(self, at_once: bool) -> None:
        for job in (*self._awaited.under_way.values(), *self._left.values()):
            job.cancel(check=False)
        if not at_once and not self._any_lost:  # else what the jobs printed is kept
            shutil.rmtree(self._jobs_of, ignore_errors=True)
        self._awaited.close()


def _came_to_nothing(job: Any) -> bool:
    """Whether a job is done whose call has to be made again: what was wrong then may be mended."""
    if not job.paths.result_pickle.exists():
        return False
    try:
        value = job.result()
    except Exception:  # noqa: BLE001 - whatever is wrong with what a job left, it is done again
        return True
    return isinstance(value, Returned) and value.failed


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
