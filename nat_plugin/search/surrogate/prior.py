"""What is thought of the transformations of the user's inputs before anything is measured there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from nat_plugin.ir import Choice


class Prior(Protocol):
    """A linear belief: what a network scores is ``mean`` plus ``features`` times standard normal weights, the same for
    all networks of all inputs, in units of the spread of scores among all transformations of an input.

    How far either counts is found out: a process drops what makes the measurements less likely."""

    is_slow: bool
    """Whether a choice that was not asked before takes long."""
    sure: bool
    """Whether it counts until measurements speak against it; otherwise until they speak for it only its order counts,
    among what is one change away from an input."""

    def mean(self, source: int, choices: Sequence[Choice]) -> np.ndarray:
        """Of choices of an input (n,)."""
        ...

    def features(self, source: int, choices: Sequence[Choice]) -> np.ndarray:
        """Of choices of an input (n, d), with the same d always; it may be 0."""
        ...


class NoPrior:
    """Nothing is thought of anything."""

    is_slow, sure = False, True

    def mean(self, source: int, choices: Sequence[Choice]) -> np.ndarray:
        del source
        return np.zeros(len(choices))

    def features(self, source: int, choices: Sequence[Choice]) -> np.ndarray:
        del source
        return np.zeros((len(choices), 0))
