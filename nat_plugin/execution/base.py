"""What every executor is: calls in, futures out, as many at a time as there are workers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from nat_plugin.errors import NATError
from nat_plugin.execution.sharing import SharedState, StateFile, StateHere
from nat_plugin.settings import Settings, State


class ExecutorSettings(Settings):
    """Settings of every executor."""

    workers: int | None = Field(
        default=None,
        ge=1,
        le=100_000,
        description="trainings or searches at a time; left out: 1 with local, 16 with submitit, with ray as many as "
        "the cluster has room for",
    )
    retries: int = Field(
        default=1,
        ge=0,
        le=100,
        description="further tries if a worker died, raised an error or took too long, before the task counts as "
        "failed",
    )
    timeout: float | None = Field(
        default=None,
        gt=0,
        le=10**7,
        description="seconds that one training or search may take, after which its worker is ended; left out: no limit",
    )


class Executor(ABC):
    """Carries out calls side by side.

    A function has to be one of a module that workers can import, its arguments and its result are pickled. Left by
    ``with``, an executor has no worker any more; left by an error or Ctrl-C, it ends at once what is under way.
    """

    Settings: type[ExecutorSettings] = ExecutorSettings
    package: ClassVar[str | None] = None
    """What has to be installed, by its import name."""
    extra: ClassVar[str | None] = None
    """The extra of this project that installs it; left out: the package by its name."""
    grace: float | None = None
    """Seconds beyond ``timeout`` after which a call is given up of whose worker nothing was heard, as of one that hangs
    before the call or behind it; None: the engine itself sees to that."""

    def __init__(self, settings: ExecutorSettings, folder: Path) -> None:
        """``folder``: of the results, where it may keep files of its own, links only in a folder ``jobs``."""
        self.settings, self.folder = settings, folder
        self._state_file: StateFile | None = None

    @classmethod
    def check(cls) -> None:
        """NATError where what it needs is not installed."""
        if cls.package is not None and find_spec(cls.package) is None:
            what = cls.package if cls.extra is None else f"'nat-plugin[{cls.extra}]'"
            raise NATError(f"it needs {cls.package}, which is not installed here: pip install {what}")

    @property
    def here(self) -> bool:
        """Whether calls are carried out by this process, each before ``submit`` returns."""
        return False

    @property
    def workers(self) -> int:
        """Calls to keep under way."""
        return self.settings.workers or 1

    @property
    @abstractmethod
    def lost(self) -> tuple[type[BaseException], ...]:
        """What a future raises whose worker died: was killed, ran out of memory, lost its machine."""

    @abstractmethod
    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
        """Begin a call."""

    def begin(self, name: str, function: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
        """As ``submit``, of a call that goes by a name among the results (empty: by none), also where it is tried
        again. One that another process began, which then was killed, and that goes on still or is done, may be found
        again; by default it is begun anew."""
        del name
        return self.submit(function, *arguments)

    def shun(self, future: Future[Any], worker: str) -> None:  # noqa: B027 - for engines whose workers stay
        """The worker of a try that came to nothing gets no other call: what is wrong may be with it. ``worker``: its
        name, where it said one; a call that was given up goes on still, and ends now."""

    def is_late(self, age: float) -> bool:
        """Whether a call that was begun so many seconds ago is to be given up."""
        timeout = self.settings.timeout
        return timeout is not None and self.grace is not None and age > timeout + self.grace

    def share(self, state: State) -> SharedState:
        """A state that many calls need: each gets what is returned here as an argument, and from its ``get`` the state,
        which comes to a worker once. There is one at a time."""
        if self.here:
            return StateHere(state)
        self._state_file = StateFile.of(self.folder, state)
        return self._state_file

    @abstractmethod
    def close(self, at_once: bool) -> None:
        """End all workers; ``at_once``: whatever they are at."""

    def __enter__(self) -> Executor:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close(at_once=kind is not None)
        if self._state_file is not None:
            self._state_file.remove()
