"""A strategy is said to be better where ranks and interval say so, enough pairs were compared, and nobody guesses."""

from __future__ import annotations

import pytest

from nat_plugin.comparisons.search import HeldOutInput, Improvement, SearchTrace
from nat_plugin.comparisons.statistics import MeanInterval
from nat_plugin.comparisons.statistics import PairedTest as Paired
from nat_plugin.comparisons.verdict import conclude
from nat_plugin.training.verdict import Conclusion


def searches(accuracy: float, gain: float = 0.05) -> list[SearchTrace]:
    """Of an input with an accuracy on 1,000 images in ten classes."""
    steps = (Improvement(0, "input", 0, 0), Improvement(3, "other", 1, gain))
    return [SearchTrace(steps, 5, True, HeldOutInput(accuracy, 1000, 0.1)) for _ in range(4)]


def paired(low: float, high: float, p: float, pairs: int = 20) -> Paired:
    return Paired(MeanInterval((low + high) / 2, low, high), p, p, pairs)


GOOD = searches(0.7)


def test_values_of_nobody_knows_how_many_images_are_no_guesses() -> None:
    low = [SearchTrace(trace.steps, 5, True, HeldOutInput(-2.0, 0, 0.1)) for trace in GOOD]
    assert conclude(paired(0.01, 0.02, 0.001), 1, low, low).word == "better"


@pytest.mark.parametrize(
    ("test", "word"),
    [
        (paired(0.01, 0.02, 0.001), "better"),
        (paired(-0.02, -0.01, 0.001), "worse"),
        (paired(-0.01, 0.02, 0.5), "within noise"),
        (paired(-0.001, 0.02, 0.04), "within noise"),  # the mean does not say what the ranks say
        (paired(0.001, 0.02, 0.06), "within noise"),
    ],
)
def test_ranks_and_interval_decide(test: Paired, word: str) -> None:
    assert conclude(test, 1, GOOD, GOOD).word == word


@pytest.mark.parametrize(("pairs", "tests", "said"), [(1, 1, "1"), (5, 1, "0.062"), (6, 2, "0.062")])
def test_with_few_pairs_there_is_no_verdict(pairs: int, tests: int, said: str) -> None:
    found = conclude(paired(0.01, 0.02, 0.001, pairs), tests, GOOD, GOOD)
    assert found.word == "none"
    assert f"p (Holm) cannot be less than {said}" in found.reason
    assert conclude(paired(0.01, 0.02, 0.001, 7), tests, GOOD, GOOD).word == "better"


def test_where_both_guess_there_is_no_verdict() -> None:
    guessing = searches(0.09, 0.02)
    found = conclude(paired(0.01, 0.02, 0.001), 1, guessing, guessing)
    assert found == Conclusion("none", "what both found cannot be told from guessing")
    assert conclude(paired(0.01, 0.02, 0.001), 1, GOOD, guessing).word == "better"
    unknown = [SearchTrace((), 0, False)] * 4  # nothing within the budget was found
    assert conclude(paired(0.01, 0.02, 0.001), 1, unknown, guessing).word == "better"


def test_a_search_that_ended_with_the_input_guesses_as_that_does() -> None:
    stayed = [SearchTrace((Improvement(0, "input", 0, 0),), 5, True)] * 4
    for guess in ((stayed, searches(0.09, 0.02)), (searches(0.09, 0.02), stayed)):
        assert conclude(paired(0.01, 0.02, 0.001), 1, *guess).word == "none"
    assert conclude(paired(0.01, 0.02, 0.001), 1, stayed, GOOD).word == "better"
