"""The executor ``submitit``: every call a job of SLURM, or of this machine."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from nat_plugin.errors import NATError
from nat_plugin.execution.base import Executor, ExecutorSettings

JOBS = "jobs"
"""The folder of what goes to jobs and comes back, within that of the results."""
USUAL_WORKERS = 16


class SubmititSettings(ExecutorSettings):
    """Settings of ``submitit``."""

    cluster: Literal["slurm", "local", "debug"] = Field(
        default="slurm", description="slurm; local: processes of this machine; debug: this process itself"
    )
    parameters: dict[str, Any] = Field(
        default={},
        description="of every job, by the names of submitit: {timeout_min: 240, slurm_partition: gpu}",
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
        try:
            self._submitit: Any = submitit.AutoExecutor(self._jobs_of, cluster=settings.cluster)
            self._submitit.update_parameters(**settings.parameters)
        except (RuntimeError, NameError, TypeError, ValueError, AssertionError) as error:
            raise NATError(f"executor: submitit refuses this: {error}") from error
        self._waiting = ThreadPoolExecutor(self.workers)  # each waits for a job, as submitit does it
        self._under_way: dict[Future[Any], Any] = {}
        self._any_lost = False

    @property
    def workers(self) -> int:
        return self.settings.workers or (1 if self.settings.cluster == "debug" else USUAL_WORKERS)

    @property
    def lost(self) -> tuple[type[BaseException], ...]:
        return (self._lost_job,)

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
        job = self._submitit.submit(function, *arguments)
        future = self._waiting.submit(job.result)
        self._any_lost |= any(isinstance(each.exception(), self.lost) for each in self._under_way if each.done())
        self._under_way = {each: its for each, its in self._under_way.items() if not each.done()}
        self._under_way[future] = job
        return future

    def close(self, at_once: bool) -> None:
        for future, job in self._under_way.items():
            if not future.done():
                job.cancel(check=False)
        self._waiting.shutdown(wait=not at_once, cancel_futures=True)
        if not at_once and not self._any_lost:  # else what the jobs printed is kept
            shutil.rmtree(self._jobs_of, ignore_errors=True)
