"""Scores made up over the moves of an input: a value for each op on each edge, and for some pairs of edges together."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from nat_plugin.ir import Moves, Network, Rule

Score: TypeAlias = Callable[[Network], float]


def landscape(network: Network, rule: Rule, seed: int, pairs: float = 0.5) -> Score:
    """Additive normal values, plus values of standard deviation ``pairs`` for a fifth of all pairs of slots."""
    rng, moves = np.random.default_rng(seed), Moves(network, rule)
    single = [rng.normal(size=len(options)) for options in moves.candidates]
    joint = {
        (i, j): pairs * rng.normal(size=(len(single[i]), len(single[j])))
        for i in range(len(single))
        for j in range(i + 1, len(single))
        if rng.random() < 0.2
    }

    def score(each: Network) -> float:
        choice = moves.choice(each)
        total = sum(float(values[index]) for values, index in zip(single, choice, strict=True))
        return total + sum(float(table[choice[i], choice[j]]) for (i, j), table in joint.items())

    return score
