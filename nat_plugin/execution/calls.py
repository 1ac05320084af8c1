"""Many calls carried out by an executor: as many at a time as it has workers, answers in the order of arrival."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from nat_plugin.errors import NATError, show_trace
from nat_plugin.execution.base import Executor

_Subject = TypeVar("_Subject")


@dataclass(frozen=True)
class ExecutorCall(Generic[_Subject]):
    """A function and its arguments; ``subject`` stays in this process and says what the call is about."""

    subject: _Subject
    function: Callable[..., Any]
    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class CallAnswer(Generic[_Subject]):
    """What a call returned; or ``lost``: why it returned nothing, once all its tries were used up."""

    subject: _Subject
    value: Any = None
    lost: str | None = None


Following: TypeAlias = Callable[[], "ExecutorCall[_Subject] | None"]
"""The next call; None where there is none now. It is asked again after every answer."""


def answers(executor: Executor, following: Following[_Subject]) -> Iterator[CallAnswer[_Subject]]:
    """Carry out calls until there is none any more and none is under way. NATError of a call ends all."""
    under_way: dict[Future[Any], tuple[ExecutorCall[_Subject], int]] = {}

    def begin(call: ExecutorCall[_Subject], tries: int) -> None:
        under_way[executor.submit(_answered, call.function, call.arguments)] = call, tries

    while True:
        while len(under_way) < executor.workers and (call := following()) is not None:
            begin(call, 1)
        if not under_way:
            return
        done, _ = wait(under_way, return_when=FIRST_COMPLETED)
        for future in sorted(done, key=list(under_way).index):
            call, tries = under_way.pop(future)
            try:
                value, problem = future.result()
            except executor.lost as error:
                if tries <= executor.settings.retries:
                    begin(call, tries + 1)
                else:
                    yield CallAnswer(call.subject, lost=_lost(error, tries))
                continue
            if problem is not None:
                raise NATError(problem)
            yield CallAnswer(call.subject, value)


def _lost(error: BaseException, tries: int) -> str:
    times = "once" if tries == 1 else f"{tries} times"
    return f"its worker died {times} (killed, or out of memory?): {type(error).__name__}"


def _answered(function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, str | None]:
    """What a function returns, or what is wrong with what the user gave: engines wrap errors in errors of their own."""
    try:
        return function(*arguments), None
    except NATError as error:
        show_trace(error)
        return None, str(error)
