"""Many calls carried out by an executor: as many at a time as it has workers, answers in the order of arrival."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeAlias, TypeVar

from nat_plugin.errors import NATError
from nat_plugin.execution.base import Executor
from nat_plugin.execution.carrying import Returned, carried_out, raised_by, this_process

EVERY = 2.0
"""Seconds between two looks at what is under way."""

_Subject = TypeVar("_Subject")


@dataclass(frozen=True)
class ExecutorCall(Generic[_Subject]):
    """A function and its arguments; ``subject`` stays in this process and says what the call is about. ``name``: see
    ``Executor.begin``; left out: it cannot be found again."""

    subject: _Subject
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    name: str = ""


@dataclass(frozen=True)
class CallAnswer(Generic[_Subject]):
    """What a call returned; or ``lost``: why it returned nothing, once all its tries were used up.

    ``worker``: which process it was, on which machine; ``began``: when, by its clock, and ``seconds``: how long it took
    there; none of what is lost. ``failed``: the workers of tries that came to nothing, an empty name for one that died.
    """

    subject: _Subject
    value: Any = None
    lost: str | None = None
    worker: str = ""
    seconds: float = 0.0
    began: float = 0.0
    failed: tuple[str, ...] = ()


Following: TypeAlias = Callable[[], "ExecutorCall[_Subject] | None"]
"""The next call; None where there is none now. It is asked again after every answer."""


@dataclass(frozen=True)
class UnderWay:
    """How many calls are, and for how many seconds the oldest."""

    calls: int
    oldest: float

    def __str__(self) -> str:
        """In a few words, for the display."""
        minutes, seconds = divmod(int(self.oldest), 60)
        hours, minutes = divmod(minutes, 60)
        age = f"{hours} h {minutes} min" if hours else f"{minutes} min" if minutes else f"{seconds} s"
        return f"{self.calls:,} under way, the oldest for {age}"


@dataclass(frozen=True)
class _Try(Generic[_Subject]):
    """``failed``: the workers of tries before; ``refused``: whether one of these found something wrong with what was
    given; ``since``: when it began."""

    call: ExecutorCall[_Subject]
    failed: tuple[str, ...] = ()
    refused: bool = False
    since: float = field(default_factory=time.monotonic)


def answers(
    executor: Executor, following: Following[_Subject], watch: Callable[[UnderWay], None] = lambda _: None
) -> Iterator[CallAnswer[_Subject]]:
    """Carry out calls until there is none any more and none is under way. NATError of a call ends all, once another
    worker has found the same; whatever else a call raises, and a worker that dies or takes longer than ``timeout``,
    costs that call alone, once it was tried again. ``watch`` hears before each answer, and every few seconds."""
    tries: dict[Future[Any], _Try[_Subject]] = {}  # the oldest first
    arrived: SimpleQueue[Future[Any]] = SimpleQueue()
    settings, here = executor.settings, this_process()

    def begin(each: _Try[_Subject]) -> None:
        call = each.call
        future = executor.begin(call.name, carried_out, call.function, call.arguments, settings.timeout, here)
        tries[future] = each
        future.add_done_callback(arrived.put)

    while True:
        while len(tries) < executor.workers and (call := following()) is not None:
            begin(_Try(call))
        if not tries:
            return
        first, oldest = next(iter(tries.items()))
        age = time.monotonic() - oldest.since
        watch(UnderWay(len(tries), age))
        if executor.is_late(age) and not first.done():  # its answer may wait while this process is at something else
            future = first
            found: Returned | str = f"nothing was heard of its worker for {age:.0f} seconds"
        else:
            try:
                future = arrived.get(timeout=EVERY)
            except Empty:
                continue
            if future not in tries:  # it was late
                continue
            found = _outcome(executor, future)
        each = tries.pop(future)
        if isinstance(found, Returned) and not found.failed:
            yield CallAnswer(
                each.call.subject, found.value, None, found.worker, found.seconds, found.began, each.failed
            )
            continue
        refused = found.refused if isinstance(found, Returned) else None
        failed = (*each.failed, found.worker if isinstance(found, Returned) else "")
        if refused is not None and (each.refused or executor.here or not settings.retries):
            raise NATError(refused)
        if not executor.here:
            executor.shun(future, failed[-1])
        if len(failed) <= settings.retries or refused is not None:
            begin(_Try(each.call, failed, refused is not None))
        else:
            why = str(found.raised) if isinstance(found, Returned) else found
            times = f", {len(failed)} times" if len(failed) > 1 else ""
            yield CallAnswer(each.call.subject, lost=why + times, failed=failed)


def _outcome(executor: Executor, future: Future[Any]) -> Returned | str:
    """What came back of a call; or how it was lost."""
    try:
        returned: Returned = future.result()
    except NATError:
        raise
    except executor.lost as error:
        limit = executor.settings.timeout
        late = "" if limit is None else f", longer than timeout: {limit:g} seconds"
        return f"its worker died (killed, out of memory{late}?): {type(error).__name__}"
    except Exception as error:  # noqa: BLE001 - as where what it returned cannot be sent
        return raised_by(error)
    return returned
