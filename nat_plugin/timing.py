"""How long things take, measured so that other work on the machine changes little: two things in turns, the quickest of
short blocks, and again until the ratio is known."""

from __future__ import annotations

import itertools
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from nat_plugin.memory import usual_memory

__all__ = ["Clock", "Ratio", "compare_times", "quickest", "repeated_ratio", "repeated_ratios"]

Run = Callable[[], object]

PASSES = 4
"""In a block, of which the quickest counts: one at least has what it needs in the caches."""
FEWEST, MOST = 6, 40
"""Rounds of a comparison. An interval of the median needs six."""
_LEAST = 1e-9
"""Seconds; what a clock cannot tell from nothing."""


@dataclass(frozen=True)
class Clock:
    """Seconds since some moment, and how they are counted."""

    name: str
    read: Callable[[], float]

    @staticmethod
    def of(device: torch.device) -> Clock:
        """CPU time of the thread where one thread computes all, since a thread that has to wait its turn spends none;
        else time by the wall, on CUDA when all that was started is done. See also ``usual_memory``."""
        usual_memory()
        if device.type == "cuda":

            def read() -> float:
                torch.cuda.synchronize(device)
                return time.perf_counter()

            return Clock("wall time", read)
        if torch.get_num_threads() == 1 and sys.platform != "win32":  # Windows counts CPU time in 1/64 s
            return Clock("CPU time", time.thread_time)
        return Clock("wall time", time.perf_counter)


@dataclass(frozen=True)
class Ratio:
    """The median of so many ``rounds``, with its 95 % interval."""

    ratio: float
    low: float
    high: float
    rounds: int


def quickest(run: Run, clock: Clock, passes: int = PASSES) -> float:
    """Seconds of the quickest of some passes."""
    least = float("inf")
    for _ in range(passes):
        begun = clock.read()
        run()
        least = min(least, clock.read() - begun)
    return max(least, _LEAST)


def compare_times(first: Run, second: Run, clock: Clock, within: float) -> Ratio:
    """The time of the second as a multiple of that of the first, by blocks in turns, in changing order. Both have to
    have run before."""
    order = itertools.cycle((True, False))

    def round() -> float:
        if next(order):
            ours, theirs = quickest(first, clock), quickest(second, clock)
        else:
            theirs, ours = quickest(second, clock), quickest(first, clock)
        return theirs / ours

    return repeated_ratio(round, within)


def repeated_ratio(ratio: Callable[[], float], within: float) -> Ratio:
    """Measured until the interval is no wider than ``within``; at most ``MOST`` times."""
    found = [ratio() for _ in range(FEWEST)]
    while True:
        low, high = interval(found)
        if high - low <= within or len(found) >= MOST:
            return Ratio(statistics.median(found), low, high, len(found))
        found.append(ratio())


def repeated_ratios(ratios: Callable[[], Sequence[float]], within: float) -> list[Ratio]:
    """The same of several, all of them until each is known."""
    rounds = [ratios() for _ in range(FEWEST)]
    while True:
        columns = list(zip(*rounds, strict=True))
        intervals = [interval(values) for values in columns]
        if len(rounds) >= MOST or all(high - low <= within for low, high in intervals):
            pairs = zip(columns, intervals, strict=True)
            return [Ratio(statistics.median(values), low, high, len(rounds)) for values, (low, high) in pairs]
        rounds.append(ratios())


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Where the median lies with 95 % confidence, whatever the values are distributed like; of six or more."""
    from scipy.stats import binom  # here alone: it takes a second

    ordered, beyond = sorted(values), int(binom.ppf(0.025, len(values), 0.5))
    return ordered[beyond - 1], ordered[-beyond]
