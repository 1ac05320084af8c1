"""The executor ``ray``: workers of a Ray cluster, which this machine alone may be."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import Field

from nat_plugin.errors import NATError
from nat_plugin.execution.base import Executor, ExecutorSettings
from nat_plugin.execution.cluster import ADDRESS, TO_GROW, ClusterHead, ClusterRoom, begun_by_the_user, node_awaited
from nat_plugin.execution.sharing import SharedState
from nat_plugin.files import ReadError, read_bytes
from nat_plugin.processes import PASSED_ON
from nat_plugin.settings import State

AUTO = "auto"
_IDLE, _MAX_COMMAND = b"ray::IDLE", 4096
"""How a worker that is at nothing is called, and bytes that are read of that."""
_TO_BEGIN = "600"
"""Seconds in which a worker has to have begun. On busy cores that takes more than Ray's minute; then it begins more."""
GRACE_ALONE, GRACE_AMONG_OTHERS = 300.0, 3600.0
"""See ``Executor.grace``: in a cluster that others use as well a call may wait for its place."""
PATIENCE = (60.0, 120.0, 240.0)
"""Seconds until the node of a cluster that is begun has to be there; else it is begun again, so many times in all."""


class RaySettings(ExecutorSettings):
    """Settings of ``ray``."""

    address: str = Field(
        default=AUTO,
        min_length=1,
        description="HOST:PORT of a cluster; auto: the one at RAY_ADDRESS, or the one started by `ray start` on this "
        "machine, else a new one on this machine, which ends with the command",
    )
    cpus: float = Field(default=1, gt=0, le=10_000, description="processor cores that a worker takes")
    gpus: float = Field(default=0, ge=0, le=1_000, description="GPUs that a worker takes; 0.5: two share one")


class RayExecutor(Executor):
    """Workers of a Ray cluster. If none is running, one is started on this machine."""

    Settings = RaySettings
    settings: RaySettings
    package, extra = "ray", "ray"

    def __init__(self, settings: RaySettings, folder: Path) -> None:
        super().__init__(settings, folder)
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody unless the user asks for it
        os.environ.setdefault("RAY_worker_register_timeout_seconds", _TO_BEGIN)
        # else a cluster begins with workers and waits for them, for ever where one of these dies before it is there
        os.environ.setdefault("RAY_prestart_worker_first_driver", "0")
        import ray

        self._ray: Any = ray
        self._own, self._alone = not ray.is_initialized(), False
        """Whether this connects, and whether the cluster is of this machine alone."""
        self._under_way: dict[Future[Any], Any] = {}
        self._known: dict[Callable[..., Any], Any] = {}
        self._shared: _StoredState | None = None
        if self._own:
            self._connect()
        self._head = ClusterHead(ray.get_runtime_context().gcs_address, self._lose_head)
        self.grace = GRACE_ALONE if self._alone else GRACE_AMONG_OTHERS
        needs = {"CPU": settings.cpus, "GPU": settings.gpus}
        self._room = ClusterRoom(ray.nodes, needs, 0.0 if self._alone else TO_GROW)
        self._died = False
        """Whether Ray on this machine has."""
        try:
            self._room.places()
        except NATError:
            self.close(at_once=True)
            raise

    def share(self, state: State) -> SharedState:
        """In Ray's object store: it comes to every machine once, whatever disks these share."""
        self._shared = _StoredState(state, self._stored(state))
        return self._shared

    def _stored(self, state: State | None) -> Any:
        try:
            return self._ray.put(state)
        except self.lost as error:
            why = " ".join(str(error).split())[:300]
            raise NATError(
                f"executor: Ray cannot store what all workers need: {type(error).__name__}: {why}"
            ) from error

    def _connect(self) -> None:
        settings = self.settings
        passed_on = {name: value for name, value in os.environ.items() if name.startswith(PASSED_ON)}
        usual: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        if passed_on:
            usual["runtime_env"] = {"env_vars": passed_on}
        address = begun_by_the_user() if settings.address == AUTO else settings.address
        try:
            if address is not None:
                self._ray.init(address=address, **usual)
                return
        except ConnectionError as error:
            if settings.address != AUTO or os.environ.get(ADDRESS):
                why = " ".join(str(error).split())[:300]
                raise NATError(f"executor.address: no Ray cluster answers at {address}: {why}") from error
        cores = None if settings.workers is None else max(1, round(settings.workers * settings.cpus))
        self._begin(num_cpus=cores, **usual)

    def _begin(self, **usual: Any) -> None:
        """A cluster of this machine alone."""
        for tries, seconds in enumerate(PATIENCE, start=1):
            try:
                with node_awaited(time.monotonic() + seconds):
                    self._ray.init(address="local", include_dashboard=False, **usual)
                self._alone = True
                return
            except Exception as error:  # Ray says a node that does not begin by a plain one
                self._ray.shutdown()
                if tries == len(PATIENCE):
                    why = " ".join(str(error).split())[:200]
                    raise NATError(
                        f"executor: Ray could not be started on this machine, {tries} times: {why}"
                    ) from error

    @property
    def workers(self) -> int:
        places = self._room.places()
        return self.settings.workers or max(1, places)

    @property
    def lost(self) -> tuple[type[BaseException], ...]:
        found: type[BaseException] = self._ray.exceptions.RayError
        return (found,)

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
        if self._head.lost is not None:
            raise self._head.lost
        if self._died:
            self._begin_anew()
        reference = self._remote(function).remote(*arguments)
        future: Future[Any] = reference.future()
        self._under_way[future] = reference
        future.add_done_callback(self._note_end)
        return future

    def _note_end(self, future: Future[Any]) -> None:
        self._under_way.pop(future, None)
        self._died |= isinstance(future.exception(), self._ray.exceptions.LocalRayletDiedError)

    def shun(self, future: Future[Any], worker: str) -> None:
        """Its process ends: Ray would give it the next call. Mostly it gets this one, behind which it ends."""
        if (reference := self._under_way.get(future)) is not None:
            self._ray.cancel(reference, force=True)
        machine, _, process = worker.partition(" on GPU ")[0].rpartition(":")
        if not process.isdecimal():
            return
        end = self._ray.remote(num_cpus=0, max_retries=0, max_calls=1)(_end_worker)
        there = [
            each["NodeID"] for each in self._ray.nodes() if each["Alive"] and each["NodeManagerHostname"] == machine
        ]
        with suppress(*self.lost):
            self._ray.get([end.options(label_selector={"ray.io/node-id": node}).remote(int(process)) for node in there])

    def _remote(self, function: Callable[..., Any]) -> Any:
        """Made known to the cluster once, which asks its head."""
        if function not in self._known:
            settings = self.settings
            made = self._ray.remote(max_retries=0, num_cpus=settings.cpus, num_gpus=settings.gpus)
            self._known[function] = made(function)
        return self._known[function]

    def _begin_anew(self) -> None:
        """Where Ray on this machine has died, everything fails from then on."""
        if not self._own:
            raise NATError("executor: Ray has died on this machine; start it again, then use nat resume")
        self._head.leave()
        self._ray.shutdown()
        for future in list(self._under_way):
            with suppress(InvalidStateError):
                future.set_exception(self._ray.exceptions.LocalRayletDiedError())
        self._under_way, self._known, self._died = {}, {}, False
        self._connect()
        self._head = ClusterHead(self._ray.get_runtime_context().gcs_address, self._lose_head)
        if self._shared is not None:
            self._shared.reference = self._stored(self._shared.state)

    def _lose_head(self, error: NATError) -> None:
        """Whatever is waited for ends with the error. Ray itself would end this process, after a minute and without a
        word that helps."""
        for future in list(self._under_way):
            with suppress(InvalidStateError):
                future.set_exception(error)

    def close(self, at_once: bool) -> None:
        self._head.leave()
        if self._head.lost is not None:
            return  # all that Ray could do now is wait for it
        if at_once:
            for reference in list(self._under_way.values()):
                self._ray.cancel(reference, force=True)
        if self._own:
            self._ray.shutdown()


def _end_worker(process: int) -> None:
    """In a worker of that machine: another one, where it is at nothing."""
    if process == os.getpid():
        return
    with suppress(OSError, ReadError):
        if read_bytes(Path(f"/proc/{process}/cmdline"), _MAX_COMMAND, "the command of a process").startswith(_IDLE):
            os.kill(process, signal.SIGKILL)


class _StoredState:
    """A state in the object store; of it only ``reference`` goes to workers. In the process that has put it there it
    keeps the state, for another cluster."""

    def __init__(self, state: State | None, reference: Any) -> None:
        self.state, self.reference = state, reference

    def __reduce__(self) -> Any:
        return _StoredState, (None, self.reference)

    def get(self) -> State:
        return _fetched(self.reference)


@lru_cache(maxsize=1)
def _fetched(reference: Any) -> State:
    import ray

    state: State = ray.get(reference)
    return state
