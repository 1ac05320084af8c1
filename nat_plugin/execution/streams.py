"""Parts of a long stream given to workers: answers in order, a few parts under way, however long it is."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias, TypeVar

from nat_plugin.execution.base import Executor
from nat_plugin.execution.calls import ExecutorCall, answers

AHEAD = 3
"""Parts for each worker from the first that has no answer yet to the last that was read."""
_Item = TypeVar("_Item")
_Subject: TypeAlias = "tuple[int, list[_Item], int | None]"
"""The number of a part, what is in the call, and the place of that in the part (None: the whole part)."""


def in_order(
    executor: Executor,
    function: Callable[..., Sequence[Any]],
    parts: Iterator[list[_Item]],
    lost: Callable[[_Item, str], Any],
    ready: Callable[[], bool] = lambda: True,
) -> Iterator[list[Any]]:
    """What ``function(part)`` has for every item of every part. A part that is lost with its worker is carried
    out item by item, and ``lost`` says what becomes of an item that is lost by itself. No answer waits for a part that
    is not ``ready`` to be read."""
    asked = done = 0
    again: deque[ExecutorCall[_Subject[_Item]]] = deque()
    there: dict[int, list[Any]] = {}
    open_items: dict[int, int] = {}

    def following() -> ExecutorCall[_Subject[_Item]] | None:
        nonlocal asked
        if again:
            return again.popleft()
        if asked - done >= AHEAD * executor.workers or (asked > done and not ready()):
            return None
        part = next(parts, None)
        if part is None:
            return None
        asked += 1
        return ExecutorCall((asked - 1, part, None), function, (part,))

    for answer in answers(executor, following):
        number, items, place = answer.subject
        if answer.lost is None and place is None:
            there[number] = list(answer.value)
        elif place is None and len(items) > 1:
            there[number], open_items[number] = [None] * len(items), len(items)
            again += (ExecutorCall((number, [each], at), function, ([each],)) for at, each in enumerate(items))
        else:
            (found,) = answer.value if answer.lost is None else [lost(items[0], answer.lost)]
            if place is None:
                there[number] = [found]
            else:
                there[number][place] = found
                open_items[number] -= 1
        while done in there and not open_items.get(done):
            open_items.pop(done, None)
            yield there.pop(done)
            done += 1
