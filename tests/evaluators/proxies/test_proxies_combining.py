"""The score is 0 for the input, and what one proxy gains buys little of what another loses."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nat_plugin.evaluators.proxies.combining import ProxyCombination, combination_of

CENTRE = {"a": 10.0, "b": -200.0}
BOTH = ProxyCombination(CENTRE, {"a": 2.0, "b": 50.0}, {"a": 1.0, "b": 1.0})


def at(a: float, b: float) -> dict[str, float]:
    """So many spreads above the input."""
    return {"a": 10 + 2 * a, "b": -200 + 50 * b}


def test_the_input_has_the_score_zero() -> None:
    assert BOTH.score(CENTRE) == 0


@given(st.floats(-50, 50), st.floats(-50, 50), st.floats(0.01, 5))
def test_more_is_better_for_every_proxy_and_their_units_do_not_matter(a: float, b: float, more: float) -> None:
    assert BOTH.score(at(a + more, b)) >= BOTH.score(at(a, b))
    assert BOTH.score(at(a, b)) == pytest.approx(BOTH.score(at(b, a)))


@given(st.floats(-1e6, 1e6))
def test_no_gain_is_more_than_log_2_and_a_loss_counts_in_full(a: float) -> None:
    assert BOTH.score(at(a, 0)) <= math.log(2) / 2
    assert BOTH.score(at(-100, 0)) == pytest.approx(-50, rel=0.02)


def test_weights_count_and_a_weight_below_zero_turns_a_proxy_round() -> None:
    assert ProxyCombination(CENTRE, BOTH.spreads, {"a": 3.0, "b": 1.0}).score(at(-1, 1)) < 0
    assert ProxyCombination(CENTRE, BOTH.spreads, {"a": -1.0}).score(at(-1, 0)) > 0


def test_a_spread_is_the_root_mean_square_of_what_moves_change() -> None:
    both = combination_of(CENTRE, [at(3, 1), at(-4, -1)], {"a": 1.0, "b": 1.0})
    assert both.spreads == pytest.approx({"a": 2 * math.sqrt(12.5), "b": 50.0})


def test_what_no_move_changes_does_not_count() -> None:
    both = combination_of(CENTRE, [{"a": 12.0, "b": -200.0 + 1e-9}], {"a": 1.0, "b": 1.0})
    assert both.score({"a": 12.0, "b": -300.0}) == pytest.approx(math.log(2) - math.log1p(math.exp(-1)))
    assert combination_of(CENTRE, [], {"a": 1.0}).score(at(1, 1)) == 0
