"""What a policy thinks of the transformations of an input, as a prior for local search."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nat_plugin.ir import Choice, Moves
from nat_plugin.policy.sampling import greedy, most_probable

_LIKELY = 32
"""So many of the most probable choices are candidates."""
_DRAWN = 4096
"""Choices drawn to see how probabilities spread."""


class PolicyPrior:
    """From the policy's scores (R,) of the candidates of the slots, ``sizes`` (S,) of each."""

    def __init__(self, scores: np.ndarray, sizes: np.ndarray, moves: Moves) -> None:
        self.own = greedy(scores, sizes, moves)
        """The most probable choice."""
        self.likely = most_probable(scores, sizes, moves, _LIKELY)
        self._logs = np.full((len(sizes), int(sizes.max())), -np.inf)
        ends = np.cumsum(sizes)
        for slot, (end, size) in enumerate(zip(ends, sizes, strict=True)):
            part = scores[end - size : end]
            self._logs[slot, :size] = part - part.max()
        rng = np.random.default_rng(0)
        drawn = self._log(rng.integers(0, sizes, (_DRAWN, len(sizes))))
        self._middle, self._spread = float(drawn.mean()), max(float(drawn.std()), 1e-9)

    def prior(self, choices: Sequence[Choice]) -> np.ndarray:
        """How probable choices (n,) are, in standard deviations above the mean of all."""
        found: np.ndarray = (self._log(np.array(choices, np.int64)) - self._middle) / self._spread
        return found

    def _log(self, choices: np.ndarray) -> np.ndarray:
        found: np.ndarray = self._logs[np.arange(len(self._logs)), choices].sum(axis=1)
        return found
