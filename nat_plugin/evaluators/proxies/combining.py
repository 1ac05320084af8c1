"""One score of many proxies: what each says against the input, none more than it is worth."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

ROUNDING = 1e-6
Features: TypeAlias = Mapping[str, float]
"""Of one network, by the name of the proxy."""


@dataclass(frozen=True)
class ProxyCombination:
    """Turns proxies, which have units of their own, into one score: 0 for the input.

    ``spreads``: how far each proxy moves under random moves of the input (its root mean square). What a proxy gains
    over the input in that unit counts less and less, up to log 2, as a proxy that soars is more often fooled than
    right; what it loses counts in full.
    """

    centre: Features
    spreads: Features
    weights: Features

    def score(self, found: Features) -> float:
        """The weighted mean over the proxies that random moves change at all."""
        used = {name: weight for name, weight in self.weights.items() if self._moves(name)}
        total = sum(map(abs, used.values()))
        if not total:
            return 0.0
        return sum(abs(weight) * self._gain(name, weight, found) for name, weight in used.items()) / total

    def _moves(self, name: str) -> bool:
        """By more than what rounding does."""
        return self.spreads[name] > ROUNDING * (1 + abs(self.centre[name]))

    def _gain(self, name: str, weight: float, found: Features) -> float:
        step = math.copysign(1.0, weight) * (found[name] - self.centre[name]) / self.spreads[name]
        return math.log(2) - _softplus(-step)


def _softplus(x: float) -> float:
    """log(1 + exp(x)) without overflow."""
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def combination_of(centre: Features, moved: Sequence[Features], weights: Features) -> ProxyCombination:
    """From the proxies of the input and of random moves of it."""
    spreads = {
        name: math.sqrt(sum((each[name] - centre[name]) ** 2 for each in moved) / len(moved)) if moved else 0.0
        for name in weights
    }
    return ProxyCombination(dict(centre), spreads, dict(weights))
