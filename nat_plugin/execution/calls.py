"""Many calls carried out by an executor: as many at a time as it has workers, answers in the order of arrival."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from nat_plugin.errors import NATError
from nat_plugin.execution.base import Executor
from nat_plugin.execution.carrying import Returned, carried_out, this_process

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


def answers(executor: Executor, following: Following[_Subject]) -> Iterator[CallAnswer[_Subject]]:
    """Carry out calls until there is none any more and none is under way. NATError of a call ends all; whatever else a
    call raises, and a worker that dies or takes longer than ``timeout``, costs that call alone, once it was tried
    again."""
    under_way: dict[Future[Any], tuple[ExecutorCall[_Subject], tuple[str, ...]]] = {}
    settings, here = executor.settings, this_process()

    def begin(call: ExecutorCall[_Subject], failed: tuple[str, ...] = ()) -> None:
        given = (call.function, call.arguments, settings.timeout, here)
        under_way[executor.begin(call.name, carried_out, *given)] = call, failed

    while True:
        while len(under_way) < executor.workers and (call := following()) is not None:
            begin(call)
        if not under_way:
            return
        done, _ = wait(under_way, return_when=FIRST_COMPLETED)
        for future in [each for each in under_way if each in done]:
            call, failed = under_way.pop(future)
            found = _outcome(executor, future)
            if isinstance(found, Returned) and found.refused is not None:
                raise NATError(found.refused)
            if isinstance(found, Returned) and found.raised is None:
                yield CallAnswer(call.subject, found.value, None, found.worker, found.seconds, found.began, failed)
                continue
            failed += ("" if isinstance(found, str) else found.worker,)
            if len(failed) <= settings.retries:
                begin(call, failed)
            else:
                why = found if isinstance(found, str) else str(found.raised)
                times = f", {len(failed)} times" if len(failed) > 1 else ""
                yield CallAnswer(call.subject, lost=why + times, failed=failed)


def _outcome(executor: Executor, future: Future[Any]) -> Returned | str:
    """What came back of a call; or how its worker was lost."""
    try:
        returned: Returned = future.result()
    except executor.lost as error:
        limit = executor.settings.timeout
        late = "" if limit is None else f", longer than timeout: {limit:g} seconds"
        return f"its worker died (killed, out of memory{late}?): {type(error).__name__}"
    return returned
