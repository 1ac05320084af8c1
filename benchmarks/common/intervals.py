"""Means over trainings or inputs with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import stdtrit


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half the width of its 95 % interval by Student's t; not a number for a single value."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, float("nan")
    return mean, float(stdtrit(len(values) - 1, 0.975) * np.std(values, ddof=1) / len(values) ** 0.5)


def signed(value: Any, form: str = "+.2f") -> str:
    """Of a mean, or a mean and half of its interval; ``–`` for what is no number, as results keep it."""
    mean, half = value if isinstance(value, tuple | list) else (value, None)
    if mean is None or mean != mean:
        return "–"
    return f"{mean:{form}}" + ("" if half is None or half != half else f" ± {half:{form.lstrip('+')}}")
