"""How many places of each picture a map is fitted on."""

from __future__ import annotations

import pytest

from nat_plugin.fitting import LinearMap, sample_pixels
from nat_plugin.ir.layers import Conv


@pytest.mark.parametrize(("pictures", "places"), [(64, 40), (500, 40), (1500, 40), (6000, 10), (10**6, 1)])
def test_there_are_fewer_places_of_each_picture_once_all_together_are_enough(pictures: int, places: int) -> None:
    assert sample_pixels(LinearMap.of(Conv(16, 16)), pictures) == places


@pytest.mark.parametrize("pictures", [64, 500])
def test_there_are_eight_rows_for_each_input_of_a_large_map(pictures: int) -> None:
    fitted = LinearMap.of(Conv(512, 16, (3, 3)))
    rows = pictures * sample_pixels(fitted, pictures)
    assert 8 * fitted.inputs <= rows < 8 * fitted.inputs + pictures
