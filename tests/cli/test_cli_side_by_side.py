"""Long streams are worked on by several processes: same results, same order, nothing read far ahead."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count, islice

import pytest

from nat_plugin.cli.side_by_side import FEW, side_by_side
from nat_plugin.errors import NATError


@pytest.mark.parametrize("parts", [0, 1, FEW - 1, FEW, 20])
def test_results_come_in_the_order_of_the_parts(parts: int) -> None:
    assert list(side_by_side(lambda part: part * part, iter(range(parts)), 2)) == [part**2 for part in range(parts)]


def test_a_long_stream_is_worked_on_by_other_processes_and_a_short_one_here() -> None:
    assert set(side_by_side(lambda _part: os.getpid(), iter(range(FEW)), 2)) == {os.getpid()}
    long = list(side_by_side(lambda _part: os.getpid(), iter(range(20)), 2))
    assert set(long[:FEW]) == {os.getpid()}
    assert os.getpid() not in long[FEW:]


def test_an_endless_stream_is_not_read_far_ahead() -> None:
    read: list[int] = []

    def endless() -> Iterator[int]:
        for number in count():
            read.append(number)
            yield number

    assert list(islice(side_by_side(lambda part: part, endless(), 2), 30)) == list(range(30))
    assert len(read) < 50


def test_what_is_wrong_with_a_part_is_said_after_the_results_before_it() -> None:
    def work(part: int) -> int:
        if part == 7:
            raise NATError("part 7 is no number")
        return part

    seen = []
    with pytest.raises(NATError, match="part 7 is no number"):
        for result in side_by_side(work, iter(range(20)), 2):
            seen.append(result)
    assert seen == list(range(7))
