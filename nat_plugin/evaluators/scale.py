"""What the values of an evaluator are, and how a report writes them."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """Shares of images that are right, or where not ``percent`` some other number, whose sign was changed if
    ``lower_is_better``: inside, higher is always better; in writing, the number is as its user knows it."""

    name: str = "accuracy"
    percent: bool = True
    lower_is_better: bool = False

    @property
    def factor(self) -> int:
        """From a gain to the unit of ``gains``."""
        return 100 if self.percent else 1

    @property
    def gains(self) -> str:
        """The unit of a gain, which is positive for the better."""
        unit = f"points of {self.name}" if self.percent else self.name
        return f"{unit} by which it is lower" if self.lower_is_better else unit

    def value(self, value: float) -> str:
        own = self._own(value)
        return f"{own:.2%}" if self.percent else f"{own:.5g}"

    def span(self, value: float, low: float, high: float) -> str:
        """With its interval, where one is known."""
        ends = sorted((low, high), key=self._own)
        known = math.isfinite(low) and math.isfinite(high)
        return self.value(value) + (f" [{self.value(ends[0])}, {self.value(ends[1])}]" if known else "")

    def change(self, change: float, low: float = -math.inf, high: float = math.inf) -> str:
        """A difference of two values, with its interval where one is known."""
        known = math.isfinite(low) and math.isfinite(high)
        values = [self._own(change), *(sorted((self._own(low), self._own(high))) if known else ())]
        texts = [f"{100 * each:+.2f}" if self.percent else f"{each:+.4g}" for each in values]
        return f"{texts[0]}{' points' * self.percent}" + (f" [{texts[1]}, {texts[2]}]" if known else "")

    def _own(self, value: float) -> float:
        return (-value or 0.0) if self.lower_is_better else value
