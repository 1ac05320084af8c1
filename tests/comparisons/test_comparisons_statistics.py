"""Statistics, held to scipy and to published figures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nat_plugin.comparisons.statistics import against, holm, mean_of, samples, wilcoxon

RNG = np.random.default_rng(7)
FIRST, SECOND = RNG.normal(0.3, 1, 25), RNG.normal(0, 1, 25)


def test_the_interval_is_that_of_student() -> None:
    found = mean_of(FIRST)
    low, high = stats.t.interval(0.95, len(FIRST) - 1, FIRST.mean(), stats.sem(FIRST))
    assert (found.value, found.low, found.high) == pytest.approx((FIRST.mean(), low, high))


def test_a_single_sample_has_no_interval() -> None:
    found = mean_of(np.array([2.0]))
    assert found.value == 2
    assert np.isnan([found.low, found.high]).all()


def test_holm_is_as_in_the_textbook() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_corrects_upwards_in_order_and_no_more_than_bonferroni(values: list[float]) -> None:
    found = holm(values)
    for p, corrected in zip(values, found, strict=True):
        assert min(p, 1.0) <= corrected <= min(1.0, len(values) * p) + 1e-12
    order = np.argsort(values, kind="stable")
    assert (np.diff(np.array(found)[order]) >= 0).all()


def test_tests_are_paired_and_corrected() -> None:
    found = against(SECOND, {"a": FIRST, "b": SECOND + 1, "same": SECOND})
    assert found["a"].p == pytest.approx(stats.wilcoxon(FIRST, SECOND).pvalue)
    assert found["a"].difference.value == pytest.approx((FIRST - SECOND).mean())
    assert found["b"].holm == pytest.approx(3 * found["b"].p)
    assert found["same"].p == 1.0
    assert wilcoxon(SECOND, SECOND) == 1.0


def test_samples_that_one_lacks_are_left_out_of_its_test() -> None:
    partly = np.where(np.arange(25) < 5, np.nan, FIRST)
    found = against(SECOND, {"partly": partly, "none": np.full(25, np.nan)})
    assert found["partly"].pairs == 20
    assert found["partly"].p == pytest.approx(stats.wilcoxon(FIRST[5:], SECOND[5:]).pvalue)
    assert "none" not in found


def test_inputs_are_the_samples_unless_there_is_one() -> None:
    values = np.arange(12.0).reshape(3, 4, 1)
    assert samples(values)[:, 0].tolist() == [1.5, 5.5, 9.5]
    assert samples(values[:1])[:, 0].tolist() == [0, 1, 2, 3]
