"""Intervals against published values, by coverage in simulation, and at the ends where naive ones fail."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nat_plugin.errors import NATError
from nat_plugin.training.statistics import (
    Accuracy,
    Interval,
    best_first,
    mean_intervals,
    paired_difference,
    unpaired_difference,
    wilson,
)
from nat_plugin.training.verdict import ONE_TRAINING, Conclusion, conclude

SURE = (Interval(0.8, 0.9), Interval(0.8, 0.9))


def _judged(correct: int, loss: float, total: int = 100) -> Accuracy:
    return Accuracy(correct, total, loss, torch.arange(total) < correct)


def test_of_what_is_as_accurate_within_a_standard_error_the_least_loss_is_best() -> None:
    found = {"most": _judged(80, 1.0), "within": _judged(77, 0.8), "below": _judged(75, 0.5), "least": _judged(60, 0.1)}
    assert best_first(found, found.__getitem__) == ["within", "most", "below", "least"]  # one error is four images


def test_on_more_images_a_standard_error_is_smaller() -> None:
    found = {"most": _judged(8000, 1.0, 10_000), "less": _judged(7700, 0.8, 10_000)}
    assert best_first(found, found.__getitem__) == ["most", "less"]


def test_what_is_equal_stays_in_its_order_and_of_nothing_nothing_is_best() -> None:
    assert best_first(["b", "a"], lambda _: _judged(3, 0.5)) == ["b", "a"]
    assert best_first([], _judged) == []


@pytest.mark.parametrize(
    ("correct", "total", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),  # Newcombe 1998, Statistics in Medicine 17, table I, method 3
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (29, 29, 0.8830, 1.0),
    ],
)
def test_wilson_gives_published_values(correct: int, total: int, low: float, high: float) -> None:
    interval = wilson(correct, total)
    assert (interval.low, interval.high) == (pytest.approx(low, abs=6e-5), pytest.approx(high, abs=6e-5))


@pytest.mark.parametrize(("correct", "total", "level"), [(3, 2, 0.95), (-1, 2, 0.95), (0, 0, 0.95), (1, 2, 1.0)])
def test_wilson_refuses_what_is_no_share(correct: int, total: int, level: float) -> None:
    with pytest.raises(NATError, match="no interval"):
        wilson(correct, total, level)


def test_accuracy_is_a_share_with_an_interval() -> None:
    accuracy = Accuracy(81, 263, 0.5, torch.arange(263) < 81)
    assert accuracy.value == 81 / 263
    assert accuracy.interval() == wilson(81, 263)


def hits(right: list[int], total: int = 400) -> torch.Tensor:
    found = torch.ones(total, dtype=torch.bool)
    found[right] = False
    return found


def test_a_model_compared_with_itself_differs_by_nothing() -> None:
    found = paired_difference([hits([1, 2])], [hits([1, 2])])
    assert found.value == 0
    assert found.low < 0 < found.high
    assert conclude(found, SURE, 0.1) == Conclusion("none", ONE_TRAINING)


@pytest.mark.parametrize(("only_first", "only_second", "certain"), [(5, 0, False), (6, 0, True), (9, 2, False)])
def test_few_images_are_judged_like_the_exact_test_of_mcnemar(only_first: int, only_second: int, certain: bool) -> None:
    # Exact two-sided p: 5 to 0 is 0.0625, 6 to 0 is 0.031, 9 to 2 is 0.065.
    found = paired_difference([hits(list(range(only_second)))], [hits(list(range(50, 50 + only_first)))])
    assert found.value == pytest.approx((only_first - only_second) / 400)
    assert (found.low > 0) == certain
    assert paired_difference([hits(list(range(50, 50 + only_first)))], [hits(list(range(only_second)))]).value < 0


def test_disagreement_between_seeds_widens_the_interval() -> None:
    calm = paired_difference([hits([1]), hits([1])], [hits(list(range(20))), hits(list(range(20)))])
    restless = paired_difference([hits([1]), hits([1])], [hits([]), hits(list(range(40)))])
    assert conclude(calm, SURE, 0.1) == Conclusion("better")
    assert conclude(restless, SURE, 0.1) == Conclusion("within noise")
    assert restless.seeds == (2, 2)


def test_hits_must_be_of_the_same_images() -> None:
    with pytest.raises(NATError, match="400 and 300 images"):
        paired_difference([hits([1])], [hits([1], 300)])
    with pytest.raises(NATError, match="one row"):
        paired_difference([], [hits([1])])


@pytest.mark.parametrize("seeds", [1, 3])
def test_the_interval_covers_the_truth_as_often_as_it_says(seeds: int) -> None:
    """Models of a known true difference, whose images differ in difficulty and whose seeds differ in skill."""
    random = np.random.default_rng(0)
    covered, trials, images = 0, 600, 500
    for _ in range(trials):
        difficulty = random.normal(1.5, 1.0, images)
        skill = [0.0] if seeds == 1 else random.normal(0, 0.3, (2, seeds))
        rows = []
        for model in range(2):
            own = np.atleast_1d(skill[model] if seeds > 1 else 0.0)
            chance = 1 / (1 + np.exp(-(difficulty + own[:, None] * 1.0)))
            rows.append([torch.from_numpy(random.random(images) < each) for each in chance])
        found = paired_difference(rows[0], rows[1])
        covered += found.low <= 0 <= found.high
    assert 0.93 <= covered / trials <= 0.99


@pytest.mark.parametrize("networks", [1, 4])
@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("spread", [0.0, 0.02, 0.1])
def test_the_interval_of_a_mean_over_trainings_covers_the_truth(networks: int, seeds: int, spread: float) -> None:
    random = np.random.default_rng(0)
    covered, trials, images, truth = 0, 1500, 500, 0.7
    for _ in range(trials):
        skill = random.normal(truth, spread, (networks, seeds)).clip(0, 1)
        found = mean_intervals((random.binomial(images, skill) / images).tolist(), images)[0]
        covered += found.low <= truth <= found.high
    assert covered / trials >= 0.94


def test_the_interval_of_one_training_is_wilsons_and_trainings_that_differ_widen_it() -> None:
    assert mean_intervals([[81 / 263], [29 / 263]], 263) == (wilson(81, 263), wilson(29, 263))
    (alone,) = mean_intervals([[0.348]], 500)
    (restless,) = mean_intervals([[0.451, 0.490, 0.150, 0.301, 0.348]], 500)
    assert alone.high - alone.low < 0.1 < 0.3 < restless.high - restless.low
    assert mean_intervals([[1.0, 1.0]], 100)[0].high == 1
    pooled = mean_intervals([[0.45, 0.45], [0.35, 0.55]], 500)
    assert pooled[0].high - pooled[0].low > 0.3  # what is seen of one network goes for the others too
    shares: list[list[float]]
    for shares in ([], [[]], [[1.2]]):
        with pytest.raises(NATError, match="no interval"):
            mean_intervals(shares, 100)


@pytest.mark.parametrize("seeds", [2, 3])
@pytest.mark.parametrize("spread", [0.01, 0.02, 0.05])
def test_few_trainings_that_happen_to_agree_do_not_narrow_the_interval_too_far(seeds: int, spread: float) -> None:
    """Trainings as far apart as their images leave anyway, and some times as far: with two of them an interval by the
    degrees of freedom of Satterthwaite covers 92 %."""
    random = np.random.default_rng(0)
    covered, trials, images = 0, 3000, 2000
    for _ in range(trials):
        skill = random.normal(0.7, spread, (2, seeds)).clip(0, 1)
        found = unpaired_difference(*(random.binomial(images, skill) / images).tolist(), images)
        covered += found.low <= 0 <= found.high
    assert covered / trials >= 0.94


def test_without_pairs_the_interval_covers_the_truth_too_and_is_wider() -> None:
    random = np.random.default_rng(0)
    covered, trials, images = 0, 2000, 500
    for _ in range(trials):
        first, second = random.binomial(images, [0.95, 0.93]) / images
        found = unpaired_difference([first], [second], images)
        covered += found.low <= 0.02 <= found.high
    assert 0.94 <= covered / trials <= 0.97
    right = hits(list(range(20))), hits(list(range(10, 40)))
    paired = paired_difference([right[0]], [right[1]])
    unpaired = unpaired_difference([float(right[0].float().mean())], [float(right[1].float().mean())], 400)
    assert unpaired.value == pytest.approx(paired.value)
    assert unpaired.high - unpaired.low > paired.high - paired.low


def test_without_pairs_disagreement_between_seeds_widens_the_interval() -> None:
    calm = unpaired_difference([0.95, 0.95], [0.90, 0.90], 2000)
    restless = unpaired_difference([0.93, 0.97], [0.87, 0.93], 2000)
    assert conclude(calm, SURE, 0.1) == Conclusion("better")
    assert conclude(restless, SURE, 0.1) == Conclusion("within noise")
    with pytest.raises(NATError, match="cannot be compared"):
        unpaired_difference([], [0.5], 100)
