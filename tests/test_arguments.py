"""What a script gives for a number or a shape, of whatever type."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nat_plugin.arguments import read_count, read_shape
from nat_plugin.errors import NATError

SHAPES = [
    (16,),
    (3, 8),
    (3, 8, 8, 8),
    "3x8x8",
    "388",
    b"388",
    32,
    (3, 0, 8),
    (3, -8, 8),
    (3, 8.0, 8),
    (3, True, 8),
    [],
    (),
]


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_no_shape_is_refused_in_one_line(shape: Any) -> None:
    with pytest.raises(NATError, match=r"^input: ") as error:
        read_shape(shape)
    assert "\n" not in str(error.value)


def test_numbers_of_numpy_and_lists_are_taken() -> None:
    assert read_shape(np.array([3, 8, 8])) == read_shape([3, np.int64(8), 8]) == (3, 8, 8)
    assert type(read_count("seed", np.int64(7), 0)) is int


@pytest.mark.parametrize("value", [-1, 2**32, 1.0, "1", True, None])
def test_what_is_no_count_is_refused(value: Any) -> None:
    with pytest.raises(NATError, match=r"^draws: .* is not a whole number from 0 to 4294967295$"):
        read_count("draws", value, 0)
