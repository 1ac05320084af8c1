"""A verdict on architectures needs several trainings, and networks that do more than guess."""

from __future__ import annotations

import math

import pytest

from nat_plugin.training.statistics import Difference, Interval, mean_intervals, unpaired_difference
from nat_plugin.training.verdict import NO_IMAGES, ONE_TRAINING, Conclusion, Word, conclude

SURE = (Interval(0.4, 0.5), Interval(0.3, 0.5))


@pytest.mark.parametrize(
    ("low", "high", "word", "beyond"),
    [(0.01, 0.03, "better", True), (-0.03, -0.01, "worse", True), (-0.01, 0.02, "within noise", False)],
)
def test_the_interval_decides_where_there_are_several_trainings(
    low: float, high: float, word: Word, beyond: bool
) -> None:
    found = conclude(Difference((low + high) / 2, low, high, 500, (2, 2)), SURE, 0.1)
    assert found == Conclusion(word)
    assert found.beyond_noise is beyond


def test_one_training_of_each_is_no_verdict_however_far_apart_they_are() -> None:
    found = conclude(unpaired_difference([0.9], [0.2], 10_000), SURE, 0.1)
    assert found == Conclusion("none", ONE_TRAINING)
    assert found.beyond_noise is None


def test_of_values_that_are_of_nobody_knows_how_many_images_there_is_no_verdict() -> None:
    difference = unpaired_difference([0.9, 0.92], [0.2, 0.25], 0)
    assert difference == Difference(pytest.approx(0.685), -math.inf, math.inf, 0, (2, 2))
    anywhere = mean_intervals([[-3.5], [-2.0]], 0)
    assert anywhere == (Interval(-math.inf, math.inf),) * 2
    assert conclude(difference, (anywhere[0], anywhere[1]), 0.1) == Conclusion("none", NO_IMAGES)


@pytest.mark.parametrize(
    ("first", "second", "guessing"),
    [
        (Interval(0.09, 0.12), Interval(0.08, 0.11), True),
        (Interval(0.0, 0.05), Interval(0.1, 0.14), True),  # worse than guessing is no better than it
        (Interval(0.09, 0.12), Interval(0.2, 0.3), False),
        (Interval(0.2, 0.3), Interval(0.09, 0.12), False),
    ],
)
def test_where_both_may_be_guessing_there_is_no_verdict(first: Interval, second: Interval, guessing: bool) -> None:
    found = conclude(Difference(0.02, 0.01, 0.03, 5000, (5, 5)), (first, second), 0.1)
    assert (found.word == "none") == guessing
    assert ("which gets 10.0% right" in found.reason) == guessing
