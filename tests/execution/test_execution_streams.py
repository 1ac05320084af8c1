"""A long stream given to workers: answers in order, little read ahead, an item that kills its worker costs itself."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Any

import pytest

from nat_plugin.execution.base import Executor, ExecutorSettings
from nat_plugin.execution.choosing import find_executor
from nat_plugin.execution.streams import AHEAD, in_order
from nat_plugin.plugins import plugins
from tests.runs.finding import THEIRS, ShuffledExecutor


def squares(plus: int, numbers: list[int]) -> list[int]:
    return [number * number + plus for number in numbers]


def killed_by_13(numbers: list[int]) -> list[int]:
    if 13 in numbers:
        os.kill(os.getpid(), signal.SIGKILL)
    return numbers


def parts_of(read: list[int]) -> Iterator[list[int]]:
    for number in count():
        read.append(number)
        yield [2 * number, 2 * number + 1]


def said(item: int, why: str) -> str:
    return f"{item}: {why}"


@pytest.fixture(params=["here", "shuffled"])
def executor(request: pytest.FixtureRequest, tmp_path: Path) -> Executor:
    if request.param == "here":
        return find_executor("local", ExecutorSettings(), tmp_path, plugins())
    return find_executor("shuffled", ShuffledExecutor.Settings(workers=4, order=1), tmp_path, THEIRS)


def test_answers_come_in_order_and_an_endless_stream_is_not_read_far_ahead(executor: Executor) -> None:
    read: list[int] = []
    with executor:
        stream = in_order(executor, partial(squares, 1), parts_of(read), said)
        found = [each for part in islice(stream, 50) for each in part]
    assert found == [number * number + 1 for number in range(100)]
    assert len(read) <= 50 + AHEAD * executor.workers


def test_no_answer_waits_for_a_part_that_is_not_there_yet(executor: Executor) -> None:
    """Parts are there one at a time, each after the answer to the one before."""
    given: list[int] = []

    def parts() -> Iterator[list[int]]:
        for number in range(4):
            assert len(answered) == number
            given.append(number)
            yield [number]

    answered: list[Any] = []
    with executor:
        for part in in_order(executor, partial(squares, 0), parts(), said, lambda: len(answered) == len(given)):
            answered.append(part)
    assert answered == [[0], [1], [4], [9]]


def test_an_item_that_kills_its_worker_costs_itself_alone(tmp_path: Path) -> None:
    settings = ExecutorSettings(workers=2, retries=0)
    with find_executor("local", settings, tmp_path, plugins()) as local:
        parts = iter([[1, 2], [12, 13, 14], [13], [15]])
        found = list(in_order(local, killed_by_13, parts, said))
    lost = "13: its worker died (killed, out of memory?): BrokenProcessPool"
    assert found == [[1, 2], [12, lost, 14], [lost], [15]]
