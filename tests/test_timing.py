"""Times by a clock that the test turns: what a busy machine does to them, and when they are good enough."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
import torch

from nat_plugin.timing import FEWEST, MOST, Clock, compare_times, interval, quickest


class Machine:
    """Runs take what they cost, and on a busy one, now and then, many times as long; its speed changes all the time."""

    def __init__(self, seed: int = 0, busy: float = 0.0) -> None:
        self.now, self.busy, self.random = 0.0, busy, np.random.default_rng(seed)
        self.clock = Clock("fake", lambda: self.now)

    def run(self, cost: float) -> Callable[[], None]:
        def run() -> None:
            speed = 1.5 + 0.5 * np.sin(self.now / 40) if self.busy else 1.0
            waiting = self.random.exponential(4) if self.random.random() < self.busy else 0.0
            self.now += cost * speed + waiting

        return run


@pytest.mark.parametrize("seed", range(10))
def test_a_ratio_is_right_on_a_machine_that_is_busy_half_of_the_time(seed: int) -> None:
    machine = Machine(seed, busy=0.5)
    found = compare_times(machine.run(1.0), machine.run(0.8), machine.clock, 0.02)
    assert found.ratio == pytest.approx(0.8, abs=0.02)
    assert found.low <= found.ratio <= found.high


def test_it_is_measured_until_it_is_known_and_not_for_ever() -> None:
    calm = Machine()
    found = compare_times(calm.run(1.0), calm.run(0.8), calm.clock, 0.02)
    assert (found.rounds, found.low, found.high) == (FEWEST, pytest.approx(0.8), pytest.approx(0.8))
    wild = Machine(busy=0.9)
    assert compare_times(wild.run(1.0), wild.run(0.8), wild.clock, 1e-6).rounds == MOST


def test_the_quickest_pass_counts() -> None:
    machine = Machine()
    costs = iter((5.0, 2.0, 3.0))
    assert quickest(lambda: machine.run(next(costs))(), machine.clock, passes=3) == 2.0
    assert quickest(lambda: None, machine.clock) > 0  # what a clock cannot tell from nothing divides


def test_the_interval_of_a_median_holds_it_in_95_of_100_cases() -> None:
    random = np.random.default_rng(0)
    for count in (6, 15, 40):
        samples = random.exponential(1, (2000, count)) ** 2
        ends = [interval(sample.tolist()) for sample in samples]
        held = np.mean([low <= np.log(2) ** 2 <= high for low, high in ends])
        assert 0.94 < held < 0.99
    assert interval([3.0, 1.0, 2.0, 6.0, 5.0, 4.0]) == (1.0, 6.0)


def test_a_thread_that_waits_spends_no_time_where_it_computes_all() -> None:
    clock = Clock.of(torch.device("cpu"))
    begun = clock.read()
    time.sleep(0.2)
    assert clock.read() - begun < 0.1
    assert clock.name == "CPU time"


def test_several_threads_are_timed_by_the_wall() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert Clock.of(torch.device("cpu")).name == "wall time"
    finally:
        torch.set_num_threads(before)
