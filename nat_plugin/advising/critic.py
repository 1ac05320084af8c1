"""What several changes together are expected to change, and how sure that is."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from scipy.stats import t as student

from nat_plugin.advising.effects import Outputs

_SCALE = 0.15
"""Expected deviation of the logarithm of a change from what is expected, before any was measured."""
_WIDTH = 2.0
"""Expected deviation of the exponent, as a multiple of that."""
_COUNT = 2.0
"""So many measurements is what is expected beforehand worth, for the deviation."""

_MOST = 3.0
"""No doubt is larger: nothing is known then anyway."""


@dataclass
class EffectModel:
    """The changes of the logits by each change alone are added up, picture by picture, so that what two of them do in
    the same direction counts more; the size of the sum is multiplied by a power of their number, whose exponent is
    learned from combinations that were measured, by Bayesian regression of logarithms."""

    numbers: list[float] = field(default_factory=list)
    residuals: list[float] = field(default_factory=list)

    def observe(self, added: Outputs, number: int, measured: float) -> None:
        """``added``: what ``number`` changes give that do what each does by itself."""
        if added.effect.change > 0 and measured > 0:
            self.numbers.append(math.log(number))
            self.residuals.append(math.log(measured / added.effect.change))

    def expected(self, added: Outputs, number: int) -> tuple[float, float, float]:
        """The change, and between what it is with 95 % probability on any such pictures."""
        squares = sum(x**2 for x in self.numbers)
        products = sum(x * r for x, r in zip(self.numbers, self.residuals, strict=True))
        width = 1 / (1 / _WIDTH**2 + squares)
        exponent = width * products
        shape = _COUNT + len(self.numbers) / 2
        scale = _COUNT * _SCALE**2 + (sum(r**2 for r in self.residuals) - exponent * products) / 2
        x, effect = math.log(number), added.effect
        deviation = math.sqrt(scale / shape * (1 + x**2 * width))
        noise = 1.96 * effect.error / max(effect.change, 1e-12)
        doubt = min(_MOST, math.hypot(student.ppf(0.975, 2 * shape) * deviation, noise))
        change = effect.change * math.exp(exponent * x)
        return change, change * math.exp(-doubt), change * math.exp(doubt)
