"""Budgets as users write them, and comparisons without rounding."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nat_plugin.errors import NATError
from nat_plugin.ir import Budget, Cell, Edge, Head, Limit, Network, NetworkSize, Node, Op, Placement, cost
from nat_plugin.ir.budget import METRICS, Limits
from nat_plugin.ir.layers import Conv
from tests.networks import genotype_network


def network() -> Network:
    cell = Cell(1, (Node(),), (Edge(0, 1, Op.parse("conv_3x3")),), (1,))
    return Network((("c", cell),), (Placement("c", 4, (0,)),), ((Conv(3, 4),),), Head(2), (3, 5, 5))


@pytest.mark.parametrize(
    ("text", "value", "relative"),
    [
        ("0.9x", Fraction(9, 10), True),
        ("1x", Fraction(1), True),
        (" 60% ", Fraction(3, 5), True),
        ("33.3 %", Fraction(333, 1000), True),
        ("2.5M", Fraction(2_500_000), False),
        ("12k", Fraction(12_000), False),
        ("12K", Fraction(12_000), False),
        ("1.5G", Fraction(1_500_000_000), False),
        ("2B", Fraction(2_000_000_000), False),
        (300_000, Fraction(300_000), False),
        (300_000.0, Fraction(300_000), False),
        ("0", Fraction(0), False),
        ("999999999999999", Fraction(999_999_999_999_999), False),
    ],
)
def test_what_can_be_written(text: object, value: Fraction, relative: bool) -> None:
    assert Budget.parse({"macs": text}) == Budget((Limit("macs", value, relative),))


@pytest.mark.parametrize(
    "text",
    [
        *("", "nan", "inf", "-1", "-0.5x", "1e3", "1e400", "x", "%", "1..2M", "1,000", "2.5MM", "٣", "9" * 400),
        *("0.9 x 2", "12T", "0x10", True, False, None, [], float("nan"), float("inf"), 1e22),
    ],
)
def test_anything_else_is_refused_in_one_line(text: object) -> None:
    with pytest.raises(NATError, match=r"^budget: params=.* is not a limit; write 0.9x, 60%, 2.5M or 300000$") as error:
        Budget.parse({"params": text})
    assert len(str(error.value)) < 160


def test_metrics_are_known_and_have_units() -> None:
    with pytest.raises(NATError, match=r"^budget: unknown metric 'flops'; allowed: params, macs$"):
        Budget.parse({"flops": "1x"})
    with pytest.raises(NATError, match="params are not measured in milliseconds"):
        Budget.parse({"params": "12ms"})
    assert Budget.parse({"latency": "12.5ms"}, {"latency": lambda _: 1.0}).limits[0].value == Fraction(25, 2)


@given(st.integers(0, 10**9), st.integers(0, 10**6), st.sampled_from(["", "x", "%", "k", "M"]))
def test_a_limit_as_text_is_the_same_limit(whole: int, decimals: int, unit: str) -> None:
    budget = Budget.parse({"macs": f"{whole}.{decimals:07}{unit}"})
    assert Budget.parse({"macs": str(budget.limits[0])}) == budget


def test_relative_limits_are_exact() -> None:
    built = network()
    total = cost(built)
    assert Budget.parse({"macs": "1.0x", "params": "100%"}).resolve(built).fit(built)
    third = Budget.parse({"macs": "0.333333333333333x"}).resolve(built)
    assert third.values == (("macs", Fraction(333333333333333, 10**15) * total.macs),)
    tight = Limits((("macs", Fraction(total.macs) - Fraction(1, 10**12)),))
    assert not tight.fit(built)
    assert tight.broken(built) == [f"macs {total.macs:,} exceeds the limit {total.macs - 1:,}"]


def test_several_limits_are_all_named() -> None:
    built = network()
    limits = Budget.parse({"macs": 10, "params": "0.5x"}).resolve(built)
    assert [line.split()[0] for line in limits.broken(built)] == ["macs", "params"]
    assert Limits().fit(built)


def test_a_metric_that_is_not_a_number_fits_nothing() -> None:
    metrics = {**METRICS, "latency": lambda _: float("nan")}
    limits = Limits((("latency", Fraction(5)),), metrics)
    assert not limits.fit(network())
    assert limits.broken(network()) == ["latency nan exceeds the limit 5"]


def test_absolute_limits_become_multiples_for_use_at_another_size() -> None:
    small, large = genotype_network("DARTS_V2", NetworkSize(8, 5)), genotype_network("DARTS_V2", NetworkSize(36, 20))
    budget = Budget.parse({"macs": cost(large).macs // 2, "params": "0.9x"})
    limits = dict(budget.relative_to(large).resolve(small).values)
    assert limits["params"] == Fraction(9, 10) * cost(small).params
    assert float(limits["macs"]) == pytest.approx(cost(small).macs / 2, rel=1e-6)
    assert budget.relative_to(large).resolve(large) == budget.resolve(large)
