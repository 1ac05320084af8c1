"""Sums of products of rows are those of all rows at once, however they come."""

from __future__ import annotations

import pytest
import torch

from nat_plugin.fitting.moments import CHUNK, NARROWEST, Moments


@pytest.mark.parametrize("inputs", [1, NARROWEST, NARROWEST + 1, 5 * NARROWEST + 3])
def test_products_of_inputs_are_those_of_all_rows_and_symmetric(inputs: int) -> None:
    random = torch.Generator().manual_seed(0)
    x, y = torch.randn(CHUNK + 50, inputs, generator=random), torch.randn(CHUNK + 50, 3, generator=random)
    found = Moments(inputs, 3)
    for rows in (slice(0, 20), slice(20, len(x))):
        found.add(x[rows], y[rows])
    torch.testing.assert_close(found.xx, x.double().T @ x.double())
    torch.testing.assert_close(found.xy, x.double().T @ y.double())
    assert torch.equal(found.xx, found.xx.T)
