"""Values and gains as a report writes them."""

from __future__ import annotations

import pytest

from nat_plugin.evaluators.scale import Scale

INF = float("inf")


@pytest.mark.parametrize(
    ("scale", "value", "span", "change", "gains"),
    [
        (Scale(), "91.50%", "91.50% [90.00%, 93.00%]", "+1.50 points [-0.50, +2.00]", "points of accuracy"),
        (Scale("error", True, True), "-91.50%", "-91.50% [-93.00%, -90.00%]", "-1.50 points [-2.00, +0.50]",
         "points of error by which it is lower"),
        (Scale("ssim", False), "0.915", "0.915 [0.9, 0.93]", "+0.015 [-0.005, +0.02]", "ssim"),
        (Scale("loss", False, True), "-0.915", "-0.915 [-0.93, -0.9]", "-0.015 [-0.02, +0.005]",
         "loss by which it is lower"),
    ],
)  # fmt: skip
def test_values_are_written_as_their_user_knows_them(
    scale: Scale, value: str, span: str, change: str, gains: str
) -> None:
    assert scale.value(0.915) == value
    assert scale.span(0.915, 0.9, 0.93) == span
    assert scale.change(0.015, -0.005, 0.02) == change
    assert scale.gains == gains
    assert scale.span(0.915, -INF, INF) == value
    assert scale.change(0.015, -INF, INF) == change.split(" [")[0]
    assert Scale("loss", False, True).change(0.0) == "+0"
