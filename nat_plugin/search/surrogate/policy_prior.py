"""What a policy thinks of the transformations of the user's inputs, as a prior."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nat_plugin.ir import Choice, Moves
from nat_plugin.policy.apply import decode
from nat_plugin.policy.network import Policy
from nat_plugin.policy.sampling import greedy, most_probable

_LIKELY = 32
"""So many of the most probable choices are candidates."""
_DRAWN = 4096
"""Choices drawn to see how probabilities spread."""


@dataclass(frozen=True)
class Preference:
    """Of one input: the most probable choice, the most probable ones, log-probabilities (S, most candidates) up to a
    constant, and mean and spread of those of all choices."""

    own: Choice
    likely: list[Choice]
    logs: np.ndarray
    middle: float
    spread: float


class PolicyPrior:
    """How probable the policy finds a choice, in standard deviations above the mean of all, times ``trust``.

    It has no features: how sure it is, a policy does not say."""

    is_slow, sure = False, True

    def __init__(self, policy: Policy, moves: Sequence[Moves], trust: float) -> None:
        self._policy, self._moves, self._trust = policy, moves, trust
        self._found: dict[int, Preference] = {}

    def of(self, source: int) -> Preference:
        if source not in self._found:
            moves = self._moves[source]
            [(scores, sizes)] = decode(self._policy, [moves])
            logs = np.full((len(sizes), int(sizes.max())), -np.inf)
            ends = np.cumsum(sizes)
            for slot, (end, size) in enumerate(zip(ends, sizes, strict=True)):
                part = scores[end - size : end]
                logs[slot, :size] = part - part.max()
            drawn = _total(logs, np.random.default_rng(0).integers(0, sizes, (_DRAWN, len(sizes))))
            likely = most_probable(scores, sizes, moves, _LIKELY)
            own, spread = greedy(scores, sizes, moves), max(float(drawn.std()), 1e-9)
            self._found[source] = Preference(own, likely, logs, float(drawn.mean()), spread)
        return self._found[source]

    def mean(self, source: int, choices: Sequence[Choice]) -> np.ndarray:
        of = self.of(source)
        found: np.ndarray = (
            self._trust
            * (_total(of.logs, np.array(choices, np.int64).reshape(len(choices), -1)) - of.middle)
            / of.spread
        )
        return found

    def features(self, source: int, choices: Sequence[Choice]) -> np.ndarray:
        del source
        return np.zeros((len(choices), 0))


def _total(logs: np.ndarray, choices: np.ndarray) -> np.ndarray:
    found: np.ndarray = logs[np.arange(len(logs)), choices].sum(axis=1)
    return found
