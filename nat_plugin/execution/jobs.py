"""Jobs of submitit that are waited for by one thread, however many there are, until nobody waits any more."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from pathlib import Path
from typing import Any

from nat_plugin.files import file_errors

EVERY = 0.5
"""Seconds between two looks at all jobs."""


class AwaitedJobs:
    """Futures of jobs. ``folder``: where their results come to; ``seconds``: how long one may take; ``lost``: raised of
    one that is lost."""

    def __init__(self, folder: Path, seconds: float, lost: type[BaseException]) -> None:
        self._folder, self._seconds, self._lost = folder, seconds, lost
        self._jobs: dict[Future[Any], Any] = {}
        self._changed, self._closed = threading.Condition(), False
        threading.Thread(target=self._watch, daemon=True).start()

    @property
    def under_way(self) -> dict[Future[Any], Any]:
        with self._changed:
            return dict(self._jobs)

    def add(self, job: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.add_done_callback(self._drop)
        with self._changed:
            self._jobs[future] = job
            self._changed.notify()
        return future

    def close(self) -> None:
        """Nobody waits any more: what is under way counts as lost."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        for future in self.under_way:
            with suppress(InvalidStateError):
                future.set_exception(self._lost("it was not waited for"))

    def _drop(self, future: Future[Any]) -> None:
        with self._changed:
            self._jobs.pop(future, None)

    def _watch(self) -> None:
        seen: set[Future[Any]] = set()  # of jobs that have ended, whose results may be late
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._jobs or self._closed)
                if self._closed:
                    return
            jobs = self.under_way
            seen.intersection_update(jobs)
            for future, job in jobs.items():
                if future not in seen and self._looked_at(future, job):
                    seen.add(future)
            time.sleep(EVERY)

    def _looked_at(self, future: Future[Any], job: Any) -> bool:
        """Whether it has ended. What cannot be looked at fails by itself: the others are waited for all the same."""
        try:
            with file_errors(self._folder):
                if not job.done():
                    if self._is_forgotten(job):
                        raise self._lost(f"job {job.job_id} is not known any more")
                    return False
                is_there = job.paths.result_pickle.exists()
            if is_there:
                self._take(future, job)
            else:  # submitit waits for the disk of a cluster: no other job waits for that
                threading.Thread(target=self._take, args=(future, job), daemon=True).start()
        except BaseException as error:  # noqa: BLE001 - whoever asked for it hears of it
            with suppress(InvalidStateError):
                future.set_exception(error)
        return True

    def _is_forgotten(self, job: Any) -> bool:
        """Whether it has begun, was silent for longer than it may take, and SLURM knows nothing of it."""
        try:
            silent = time.time() - job.paths.stdout.stat().st_mtime
        except OSError:
            return False
        return silent > self._seconds and str(job.state) == "UNKNOWN"

    def _take(self, future: Future[Any], job: Any) -> None:
        try:
            with file_errors(self._folder):
                value = job.result()
        except BaseException as error:  # noqa: BLE001 - whoever asked for it hears of it
            with suppress(InvalidStateError):
                future.set_exception(error)
        else:
            with suppress(InvalidStateError):
                future.set_result(value)
