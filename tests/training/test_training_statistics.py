"""Intervals against published values, by coverage in simulation, and at the ends where naive ones fail."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nat_plugin.errors import NATError
from nat_plugin.training import Accuracy, paired_difference, wilson
from nat_plugin.training.statistics import unpaired_difference


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
    assert not found.beyond_noise


@pytest.mark.parametrize(("only_first", "only_second", "certain"), [(5, 0, False), (6, 0, True), (9, 2, False)])
def test_few_images_are_judged_like_the_exact_test_of_mcnemar(only_first: int, only_second: int, certain: bool) -> None:
    # Exact two-sided p: 5 to 0 is 0.0625, 6 to 0 is 0.031, 9 to 2 is 0.065.
    found = paired_difference([hits(list(range(only_second)))], [hits(list(range(50, 50 + only_first)))])
    assert found.value == pytest.approx((only_first - only_second) / 400)
    assert found.beyond_noise == certain
    assert paired_difference([hits(list(range(50, 50 + only_first)))], [hits(list(range(only_second)))]).value < 0


def test_disagreement_between_seeds_widens_the_interval() -> None:
    calm = paired_difference([hits([1]), hits([1])], [hits(list(range(20))), hits(list(range(20)))])
    restless = paired_difference([hits([1]), hits([1])], [hits([]), hits(list(range(40)))])
    assert calm.beyond_noise
    assert not restless.beyond_noise
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
    assert calm.beyond_noise
    assert not restless.beyond_noise
    with pytest.raises(NATError, match="cannot be compared"):
        unpaired_difference([], [0.5], 100)
