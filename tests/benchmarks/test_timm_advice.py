"""Ranks of the advice: what a perfect, a reversed and an idle prediction get."""

from __future__ import annotations

import math

import pytest

from benchmarks.experiments.timm.advice import TRUTHS, correlations, table


def rows(changes: list[float]) -> list[dict[str, float]]:
    truths = {column: 1 - change for column in TRUTHS.values() for change in [0.0]}
    return [
        {"change": change, "macs": -change, **truths, "agreement": 1 - change**2, "top1": 1 - change}
        for change in changes
    ]


def test_a_prediction_in_the_order_of_what_is_lost_is_one_and_the_reverse_minus_one() -> None:
    found = correlations(rows([0.1, 0.5, 0.2, 0.9, 0.7, 0.3]), seed=0)
    for truth in ("same top-1, tuned", "top-1, tuned"):
        assert found[truth]["change of the output, as advised"] == pytest.approx([1, 1, 1])
        assert found[truth]["MACs saved"] == pytest.approx([-1, -1, -1])
    assert "1.00 [1.00, 1.00] | -1.00" in table(found)


def test_where_nothing_differs_there_is_no_correlation() -> None:
    assert all(math.isnan(value[0]) for value in correlations(rows([0.1, 0.2]), seed=0)["top-1, before"].values())
