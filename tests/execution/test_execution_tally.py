"""What is said of workers: by each, by device, and in a line."""

from __future__ import annotations

from typing import Any

import pytest

from nat_plugin.execution.calls import CallAnswer
from nat_plugin.execution.tally import UNKNOWN, Tally, device_of, machine_of


def answer(worker: str, began: float, seconds: float, *failed: str) -> CallAnswer[None]:
    return CallAnswer(None, 1, None, worker, seconds, began, failed)


def tally_of(*answers: CallAnswer[None]) -> Tally:
    tally = Tally()
    for each in answers:
        tally.add(each)
    return tally


def test_what_each_worker_did_and_what_failed_is_told_apart() -> None:
    tally = tally_of(
        answer("a:1", 100.0, 2.0),
        answer("a:1", 104.0, 4.0, "a:2", ""),
        answer("b:7 on GPU 3", 50.0, 1.0),
        CallAnswer(None, lost="why", failed=("a:2",)),
    )
    assert tally.rows({}) == {
        "a:1": {"tasks": 2, "seconds": 6.0, "there": 8.0, "failed": 0},
        "a:2": {"tasks": 0, "seconds": 0.0, "there": 0.0, "failed": 2},
        UNKNOWN: {"tasks": 0, "seconds": 0.0, "there": 0.0, "failed": 1},
        "b:7 on GPU 3": {"tasks": 1, "seconds": 1.0, "there": 1.0, "failed": 0},
    }
    assert str(tally) == "3 workers on 2 machines, 78% busy: 3 tasks done, 1 lost"


def test_what_a_process_did_that_was_killed_counts_too() -> None:
    before = tally_of(answer("a:1", 0.0, 1.0), answer("a:2", 0.0, 1.0)).rows({})
    found = tally_of(answer("a:1", 9.0, 2.0)).rows(before)
    assert found["a:1"] == {"tasks": 2, "seconds": 3.0, "there": 3.0, "failed": 0}
    assert found["a:2"]["tasks"] == 1


@pytest.mark.parametrize("before", [{"a:1": 3}, {"a:1": {"tasks": 1}}, [1]])
def test_what_no_process_wrote_is_an_error(before: Any) -> None:
    with pytest.raises((TypeError, KeyError, AttributeError)):
        tally_of(answer("a:1", 0.0, 1.0)).rows(before)


@pytest.mark.parametrize(
    ("worker", "machine", "device"),
    [("a:1", "a", "a"), ("fe80::1:22 on GPU 0,1", "fe80::1", "fe80::1, GPU 0,1"), (UNKNOWN, "", "")],
)
def test_a_worker_says_where_it_computed(worker: str, machine: str, device: str) -> None:
    assert (machine_of(worker), device_of(worker)) == (machine, device)
