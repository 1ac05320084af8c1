"""How much harm every change by itself does, from what was measured of networks with one change or several."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from nat_plugin.ir import Choice, Moves

_ALONE, _TOGETHER = 1e-6, 0.1
"""Ridges of the least squares, as shares of what is only expected: of what one change does by itself, and of what
several do together. Large harms do not add up, and what is left out of a sum is no news of a change that is known."""


def harms(moves: Moves, measured: Sequence[tuple[Choice, float]]) -> list[np.ndarray]:
    """By slot, of each candidate (0: the op that is there): least squares on the harms of networks, each the sum of its
    changes. A change that was measured alone does just that harm, whatever it does among others; of one that was not
    measured it is expected in proportion to what it saves."""
    sizes = [len(options) for options in moves.candidates]
    first = np.concatenate([[0], np.cumsum(sizes)])
    saved = np.concatenate([_saved(moves, slot) for slot in range(len(sizes))]) if sizes else np.zeros(0)
    rows = np.zeros((len(measured), len(saved)))
    for row, (choice, _) in zip(rows, measured, strict=True):
        changed = [first[slot] + index for slot, index in enumerate(choice) if index]
        row[changed] = 1
    values = np.array([harm for _, harm in measured])
    shares = rows @ saved
    slope = float(shares @ values / (shares @ shares)) if (shares**2).sum() > 0 else 1.0
    expected = max(slope, 0.0) * saved
    left = values - rows @ expected
    # in the space of the measurements, of which there are fewer than changes
    ridges = np.where(rows.sum(axis=1) > 1, _TOGETHER, _ALONE)
    found = expected + rows.T @ np.linalg.solve(rows @ rows.T + np.diag(ridges), left)
    found[first[:-1]] = 0
    return [found[a:b] for a, b in itertools.pairwise(first)]


def _saved(moves: Moves, slot: int) -> np.ndarray:
    """The share of the parameters and MACs of all ops that each candidate saves, (candidates,)."""
    costs = moves.costs[slot, : len(moves.candidates[slot])]
    whole = np.maximum(moves.costs[:, 0].sum(axis=0), 1.0)
    share: np.ndarray = ((costs[0] - costs) / whole).mean(axis=1)
    return share
