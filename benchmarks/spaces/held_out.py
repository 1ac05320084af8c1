"""Which networks trainings hold out."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from nat_plugin.ir import Network
from nat_plugin.policy.training.spaces import split_place

SPLIT, HELD_OUT = 201, 0.2
"""Of the recipes that ship: the seed of the split, and the share that is held out."""


def some_of(held: np.ndarray, most: int | None) -> np.ndarray:
    """At most so many of what is held out (n,), drawn by a fixed seed; all for None."""
    drawn = np.random.default_rng(SPLIT).permutation(np.flatnonzero(held))[:most]
    found: np.ndarray = np.isin(np.arange(len(held)), drawn)
    return found


def held_out_by(networks: Iterable[Network], split: int, share: float = HELD_OUT) -> np.ndarray:
    """Whether trainings with a split hold each network out (n,), with whatever computes the same."""
    return np.array([split_place(network, split) < share for network in networks])
