"""Calls that tests have carried out; in a module that workers can import."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from nat_plugin.device import find_compute
from nat_plugin.errors import NATError, NATErrors
from nat_plugin.execution.base import Executor
from nat_plugin.execution.calls import CallAnswer, ExecutorCall, answers
from nat_plugin.execution.sharing import SharedState


def square(number: int) -> int:
    return number * number


def where() -> int:
    return os.getpid()


def gpu_of(device: str) -> str:
    """Which one this process sees, once it was said on what to compute; empty: all that there are."""
    with suppress(NATError):  # there may be none here
        find_compute(device)
    return os.environ.get("CUDA_VISIBLE_DEVICES", "")


def summed(shared: SharedState, factor: int) -> tuple[float, int]:
    """Of what is shared; and how often this process has fetched it."""
    state = shared.get()
    fetched = _seen.setdefault(id(state), len(_seen) + 1)
    return factor * float(state["x"].sum()), fetched


_seen: dict[int, int] = {}


def refused() -> None:
    raise NATErrors(["seed: wrong", "rules: wrong too"])


def noted(path: str, seconds: float) -> int:
    """Takes some time; how often it was begun."""
    with open(path, "a") as file:
        file.write("begun\n")
    time.sleep(seconds)
    return len(Path(path).read_text().splitlines())


def wanting(path: str, refuses: bool) -> int:
    """Comes to nothing unless there is such a file."""
    if not Path(path).exists():
        raise NATError(f"{path}: no such file") if refuses else OSError("no disk")
    return 7


def broken() -> None:
    raise ZeroDivisionError("a loss of\nnothing")


def leaving() -> None:
    sys.exit("no licence")


class SickAtFirst:
    """A worker in which a first call goes wrong is of no use any more, as after an error of CUDA. ``file``: that there
    was one."""

    def __init__(self, file: str) -> None:
        self.file = file

    def __call__(self, number: int) -> int:
        with suppress(FileExistsError):
            Path(self.file).touch(exist_ok=False)
            _sick.append(self.file)
        if _sick:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        return number


_sick: list[str] = []


class Unpickled:
    """Takes its time to be unpickled, and lets nobody go on meanwhile."""

    def __reduce__(self) -> Any:
        return _slow, ()


def _slow() -> None:
    ctypes.PyDLL(None).sleep(60)


class Unreadable:
    """Cannot be unpickled."""

    def __reduce__(self) -> Any:
        return _read, ()


def _read() -> None:
    raise ValueError("no such thing here")


def unsendable() -> Any:
    return lambda: None


def hanging() -> None:
    """Within a library that does not let the interpreter go on."""
    ctypes.PyDLL(None).sleep(60)


def dying(marks: str, times: int) -> int:
    """Killed so many times, as the kernel does it where memory runs out; then how often it was."""
    path = Path(marks)
    done = len(list(path.iterdir()))
    if done < times:
        (path / str(done)).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return done


def answer_of(executor: Executor, name: str, function: Any, *given: Any) -> CallAnswer[str]:
    """What becomes of one call that goes by a name among the results."""
    waiting = iter([ExecutorCall(name, function, given, name)])
    (answer,) = answers(executor, lambda: next(waiting, None))
    return answer


def all_of(executor: Executor, *calls: tuple[Any, ...]) -> dict[Any, CallAnswer[Any]]:
    """What becomes of calls, each a subject, a function and its arguments; by subject."""
    waiting = iter(ExecutorCall(subject, function, tuple(given)) for subject, function, *given in calls)
    with executor:
        return {answer.subject: answer for answer in answers(executor, lambda: next(waiting, None))}
