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
        if self.percent:
            return f"points of {self.name}"
        return f"{self.name} by which it is lower" if self.lower_is_better else self.name

    def value(self, value: float) -> str:
        return f"{value:.2%}" if self.percent else f"{self._own(value):.5g}"

    def span(self, value: float, low: float, high: float) -> str:
        """With its interval, where one is known."""
        ends = sorted((low, high), key=self._own)
        known = math.isfinite(low) and math.isfinite(high)
        return self.value(value) + (f" [{self.value(ends[0])}, {self.value(ends[1])}]" if known else "")

    def change(self, change: float, low: float = -math.inf, high: float = math.inf) -> str:
        """A difference of two values, with its interval where one is known."""
        values = [change, *((low, high) if math.isfinite(low) and math.isfinite(high) else ())]
        if self.percent:
            texts, unit = [f"{100 * each:+.2f}" for each in values], " points"
        else:
            texts, unit = [f"{self._own(each):+.4g}" for each in (values[0], *sorted(values[1:], key=self._own))], ""
        return f"{texts[0]}{unit}" + (f" [{texts[1]}, {texts[2]}]" if len(texts) > 1 else "")

    def _own(self, value: float) -> float:
        return -value if self.lower_is_better else value
