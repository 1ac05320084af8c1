"""What a worker does with a call: it carries it out, within its time, and sends back what came of it."""

from __future__ import annotations

import faulthandler
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from nat_plugin.errors import NATError, show_trace


@dataclass(frozen=True)
class Returned:
    """What a worker sends back. ``refused``: what is wrong with what the user gave; ``raised``: what went wrong in the
    worker itself."""

    worker: str
    began: float
    seconds: float
    value: Any = None
    refused: str | None = None
    raised: str | None = None

    @property
    def failed(self) -> bool:
        return self.refused is not None or self.raised is not None


def this_process() -> str:
    """Which process this is, on which machine."""
    return f"{socket.gethostname()}:{os.getpid()}"


def carried_out(
    function: Callable[..., Any], arguments: tuple[Any, ...], timeout: float | None, asking: str
) -> Returned:
    """In a worker. Engines wrap errors in errors of their own, so none leaves it."""
    here = this_process()
    began, since = time.time(), time.monotonic()
    value: Any = None
    refused = raised = None
    try:
        with _ended_after(timeout if here != asking else None):  # the process that asks is not to end itself
            value = function(*arguments)
    except NATError as error:
        show_trace(error)
        refused = str(error)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, it costs this call alone
        show_trace(error)
        raised = raised_by(error)
    return Returned(worker_name(), began, time.monotonic() - since, value, refused, raised)


def raised_by(error: BaseException) -> str:
    """What went wrong, in a line."""
    return f"it raised {type(error).__name__}: {' '.join(str(error).split())[:300]}"


def worker_name() -> str:
    """This process, and the GPU that it has, where it has one, with what that is, where it was used."""
    numbers, torch = os.environ.get("CUDA_VISIBLE_DEVICES", ""), sys.modules.get("torch")
    name = ""
    if torch is not None and torch.cuda.is_initialized():
        visible, current = numbers.split(",") if numbers else [], torch.cuda.current_device()
        numbers = visible[current] if current < len(visible) else str(current)
        name = f" ({torch.cuda.get_device_name()})"
    return this_process() + (f" on GPU {numbers}{name}" if numbers else "")


@contextmanager
def _ended_after(seconds: float | None) -> Iterator[None]:
    """What takes longer ends its process, whatever that is at: this clock does not wait for the interpreter."""
    if seconds is None:
        yield
        return
    with open(os.devnull, "w") as nowhere:
        faulthandler.dump_traceback_later(seconds, exit=True, file=nowhere)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
