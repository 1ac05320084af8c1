"""The executor ``ray``: workers of a Ray cluster, which this machine alone may be."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import Field

from nat_plugin.errors import NATError
from nat_plugin.execution.base import Executor, ExecutorSettings
from nat_plugin.execution.sharing import SharedState
from nat_plugin.files import ReadError, read_text
from nat_plugin.processes import PASSED_ON
from nat_plugin.settings import State

AUTO = "auto"
_MAX_ADDRESS = 4096
"""Bytes of a file with an address."""
_TO_BEGIN = "600"
"""Seconds in which a worker has to have begun. On busy cores that takes more than Ray's minute; then it begins more."""
EVERY, GONE, GRACE = 2.0, 20.0, 10.0
"""Seconds between two looks at the head of a cluster; after which it counts as lost, where Ray ends the process after
60; and in which the process may end by itself then."""
PATIENCE = (60.0, 120.0, 240.0)
"""Seconds until the node of a cluster that is begun has to be there; else it is begun again, so many times in all."""


class RaySettings(ExecutorSettings):
    """Settings of ``ray``."""

    address: str = Field(
        default=AUTO,
        min_length=1,
        description="HOST:PORT of a cluster; auto: that of RAY_ADDRESS, or which `ray start` began on this machine, or "
        "else a new one of this machine alone, which ends with the command",
    )
    cpus: float = Field(default=1, gt=0, le=10_000, description="processor cores that a worker takes")
    gpus: float = Field(default=0, ge=0, le=1_000, description="GPUs that a worker takes; 0.5: two share one")


class RayExecutor(Executor):
    """Workers of a Ray cluster. Where none runs, one is started on this machine."""

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
        self._own = not ray.is_initialized()
        self._under_way: dict[Future[Any], Any] = {}
        self._known: dict[Callable[..., Any], Any] = {}
        self._shared: _StoredState | None = None
        if self._own:
            self._connect()
        self._head = _Head(ray.get_runtime_context().gcs_address, self._lose_head)

    def share(self, state: State) -> SharedState:
        """In Ray's object store: it comes to every machine once, whatever disks these share."""
        self._shared = _StoredState(state, self._ray.put(state))
        return self._shared

    def _connect(self) -> None:
        settings = self.settings
        passed_on = {name: value for name, value in os.environ.items() if name.startswith(PASSED_ON)}
        usual: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        if passed_on:
            usual["runtime_env"] = {"env_vars": passed_on}
        address = _begun_by_the_user() if settings.address == AUTO else settings.address
        try:
            if address is not None:
                self._ray.init(address=address, **usual)
                return
        except ConnectionError as error:
            if settings.address != AUTO:
                raise NATError(f"executor.address: no Ray cluster answers at {address}: {error}") from error
        cores = None if settings.workers is None else max(1, round(settings.workers * settings.cpus))
        self._begin(num_cpus=cores, **usual)

    def _begin(self, **usual: Any) -> None:
        """A cluster of this machine alone."""
        for tries, seconds in enumerate(PATIENCE, start=1):
            try:
                with _node_awaited(time.monotonic() + seconds):
                    self._ray.init(address="local", include_dashboard=False, **usual)
                return
            except Exception as error:  # Ray says a node that does not begin by a plain one
                self._ray.shutdown()
                if tries == len(PATIENCE):
                    why = " ".join(str(error).split())[:200]
                    raise NATError(f"executor: Ray could not be begun on this machine, {tries} times: {why}") from error

    @property
    def workers(self) -> int:
        if self.settings.workers is not None:
            return self.settings.workers
        there = self._ray.cluster_resources()
        room = [int(there.get("CPU", 0) / self.settings.cpus)]
        if self.settings.gpus:
            room.append(int(there.get("GPU", 0) / self.settings.gpus))
        return max(1, min(room))

    @property
    def lost(self) -> tuple[type[BaseException], ...]:
        known = self._ray.exceptions
        return known.WorkerCrashedError, known.NodeDiedError, known.OutOfMemoryError, known.LocalRayletDiedError

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
        if self._head.lost is not None:
            raise self._head.lost
        self._check_node()
        reference = self._remote(function).remote(*arguments)
        future: Future[Any] = reference.future()
        self._under_way = {each: ref for each, ref in self._under_way.items() if not each.done()}
        self._under_way[future] = reference
        return future

    def _remote(self, function: Callable[..., Any]) -> Any:
        """Made known to the cluster once, which asks its head."""
        if function not in self._known:
            settings = self.settings
            made = self._ray.remote(max_retries=0, num_cpus=settings.cpus, num_gpus=settings.gpus)
            self._known[function] = made(function)
        return self._known[function]

    def _check_node(self) -> None:
        """Where Ray on this machine has died, everything fails from then on: it is begun anew."""
        died = self._ray.exceptions.LocalRayletDiedError
        if not any(isinstance(each.exception(), died) for each in self._under_way if each.done()):
            return
        if not self._own:
            raise NATError("executor: Ray has died on this machine; start it again, then go on")
        self._head.leave()
        self._ray.shutdown()
        for future in self._under_way:
            if not future.done():
                future.set_exception(died())
        self._under_way, self._known = {}, {}
        self._connect()
        self._head = _Head(self._ray.get_runtime_context().gcs_address, self._lose_head)
        if self._shared is not None:
            self._shared.reference = self._ray.put(self._shared.state)

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
            for future, reference in self._under_way.items():
                if not future.done():
                    self._ray.cancel(reference, force=True)
        if self._own:
            self._ray.shutdown()


class _Head:
    """The process of Ray that knows all machines of a cluster, watched from a thread."""

    def __init__(self, address: str, lose: Callable[[NATError], None]) -> None:
        host, _, port = address.rpartition(":")
        self._address, self._lose = (host.strip("[]"), int(port)), lose
        self._left = threading.Event()
        self.lost: NATError | None = None
        """What is said once it no longer answers."""
        threading.Thread(target=self._watch, daemon=True).start()

    def leave(self) -> None:
        """It may end from now on."""
        self._left.set()

    def _watch(self) -> None:
        heard = time.monotonic()
        while not self._left.wait(EVERY):
            try:
                socket.create_connection(self._address, timeout=EVERY).close()
                heard = time.monotonic()
            except OSError as error:
                if time.monotonic() - heard < GONE:
                    continue
                where = ":".join(map(str, self._address))
                self.lost = NATError(
                    f"executor: the head of Ray at {where} has not answered for {GONE:g} seconds ({error}): start it "
                    "again, then go on with nat resume"
                )
                self._lose(self.lost)
                if not self._left.wait(GRACE):  # this process waits within Ray, which would end it without a word
                    print(f"nat: {self.lost}", file=sys.stderr, flush=True)
                    os._exit(2)
                return


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


@contextmanager
def _node_awaited(until: float) -> Iterator[None]:
    """Ray looks for half a minute, which nothing sets, whether a node that it begins is there; then it gives up, and
    leaves what it began. On busy cores that is too short: within this each look lasts until the node is there, or
    until that time."""
    from ray._private import services

    look: Callable[..., Any] | None = getattr(services, "get_node", None)
    if look is None:  # a Ray that looks in another way
        yield
        return

    def look_on(*given: Any) -> Any:
        while True:
            try:
                return look(*given)
            except RuntimeError:  # not yet
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)

    services.get_node = look_on
    try:
        yield
    finally:
        services.get_node = look


def _begun_by_the_user() -> str | None:
    """The address of a cluster that is there to stay. Ray's own ``auto`` takes any that it finds, also the one that
    another command began for itself and that ends with it."""
    if found := os.environ.get("RAY_ADDRESS"):
        return found
    noted = Path(os.environ.get("RAY_TMPDIR", "/tmp"), "ray", "ray_current_cluster")
    with suppress(ReadError):
        return read_text(noted, _MAX_ADDRESS, "an address").strip() or None
    return None
