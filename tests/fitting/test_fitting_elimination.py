"""Which inputs of a linear map go first."""

from __future__ import annotations

from itertools import combinations

import pytest
import torch

from nat_plugin.fitting.elimination import elimination_order
from nat_plugin.fitting.moments import Moments


@pytest.mark.parametrize("value", [0.0, 1.0, -0.3, 1e6])
def test_inputs_that_never_change_have_an_order_too(value: float) -> None:
    known = Moments(5, 2)
    known.add(torch.full((100, 5), value), torch.zeros(100, 2))
    order = elimination_order(known, torch.ones(5, 2, dtype=torch.float64))
    assert sorted(order.tolist()) == list(range(5))


def test_the_order_of_elimination_is_the_greedy_one() -> None:
    torch.manual_seed(0)
    x = torch.randn(500, 6, dtype=torch.float64) @ torch.randn(6, 6, dtype=torch.float64)
    weights = torch.randn(6, 3, dtype=torch.float64)
    known = Moments(6, 3)
    known.add(x, x @ weights)
    order, left = elimination_order(known, weights).tolist(), set(range(6))
    for turn in range(5):
        errors = {}
        for kept in combinations(sorted(left), len(left) - 1):
            some = torch.cat([x[:, list(kept)], torch.ones(len(x), 1, dtype=x.dtype)], 1)
            rest = x @ weights - some @ torch.linalg.lstsq(some, x @ weights).solution
            errors[(left - set(kept)).pop()] = float(rest.square().sum())
        gone = min(errors, key=lambda each: errors[each])
        assert order[gone] == turn
        left.remove(gone)
