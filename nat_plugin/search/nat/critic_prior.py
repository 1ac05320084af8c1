"""What a critic expects of the transformations of the user's inputs, as a prior: a mean, and features that say how sure
it is and what a measurement of one tells of the others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nat_plugin.ir import Choice, Moves
from nat_plugin.policy.critic import Critic, Expectation
from nat_plugin.policy.expecting import Expecting

SAMPLES = 128
"""Random transformations of an input that show how far scores are apart."""


class CriticPrior:
    """Expectations of a critic in units of the spread of scores among all transformations of an input."""

    def __init__(self, critic: Critic, moves: Sequence[Moves]) -> None:
        self._expecting, self._moves = Expecting(critic), moves
        self._units: dict[int, tuple[float, float]] = {}

    def mean(self, source: int, choices: Sequence[Choice]) -> np.ndarray:
        middle, unit = self._unit(source)
        found: np.ndarray = (self._of(source, choices).mean - middle) / unit
        return found

    def features(self, source: int, choices: Sequence[Choice]) -> np.ndarray:
        return self._of(source, choices).features / self._unit(source)[1]

    def _of(self, source: int, choices: Sequence[Choice]) -> Expectation:
        return self._expecting.of(self._moves[source], choices)

    def _unit(self, source: int) -> tuple[float, float]:
        """What is expected of a random transformation, and how far from that they are."""
        if source not in self._units:
            moves, rng = self._moves[source], np.random.default_rng(0)
            drawn = self._of(source, [moves.sample(rng) for _ in range(SAMPLES)])
            unsure = drawn.features - drawn.features.mean(axis=0)
            spread = np.sqrt(drawn.mean.var() + (unsure**2).sum(axis=1).mean() + drawn.noise)
            self._units[source] = float(drawn.mean.mean()), float(spread)
        return self._units[source]
