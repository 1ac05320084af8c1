"""Whether a strategy is better than the baseline, and why that cannot be said where it cannot."""

from __future__ import annotations

from collections.abc import Sequence

from nat_plugin.comparisons.search import SearchTrace
from nat_plugin.comparisons.statistics import PairedTest
from nat_plugin.training.statistics import wilson
from nat_plugin.training.verdict import Conclusion, at_chance

LEVEL = 0.05
"""The corrected p below which there is a difference."""


def conclude(test: PairedTest, tests: int, own: Sequence[SearchTrace], baseline: Sequence[SearchTrace]) -> Conclusion:
    """From the test of a strategy against the baseline, one of so many, and from the searches of both. A difference has
    to show in the ranks (p by Holm) and in the interval of the mean alike."""
    if _guessing(own, baseline) and _guessing(baseline, own):
        return Conclusion("none", "what both found cannot be told from guessing")
    least = tests * 2 / 2**test.pairs  # of the first test by Holm, where all pairs differ in the same direction
    if least >= LEVEL:
        few = f"with {test.pairs} pair{'s' * (test.pairs > 1)}, tested {tests} time{'s' * (tests > 1)}"
        return Conclusion("none", f"{few}, p (Holm) cannot be less than {min(1.0, least):.2g}")
    if test.holm >= LEVEL or test.difference.low <= 0 <= test.difference.high:
        return Conclusion("within noise")
    return Conclusion("better" if test.difference.low > 0 else "worse")


def _guessing(traces: Sequence[SearchTrace], others: Sequence[SearchTrace]) -> bool:
    """Whether the mean accuracy of what these searches ended with may be that of guessing. ``others`` began with the
    same inputs, and know how those are where these ended with them."""
    known = [
        (trace.steps[-1].held_out, trace.held_out_input or other.held_out_input)
        for trace, other in zip(traces, others, strict=True)
        if trace.steps
    ]
    values = [(gain + given.accuracy, given) for gain, given in known if given is not None]
    if not values:
        return False
    mean = sum(accuracy for accuracy, _ in values) / len(values)
    images, chance = values[0][1].images, values[0][1].chance
    return images > 0 and at_chance(wilson(round(mean * images), images), chance)
