"""What a critic expects of the transformations of the user's inputs, as a prior: a mean, and features that say how sure
it is and what a measurement of one tells of the others."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np

from nat_plugin.ir import Choice, Moves
from nat_plugin.policy.critic import Critic, Expectation
from nat_plugin.policy.expecting import Expecting
from nat_plugin.search.nat.prior_proxies import PriorProxies

SAMPLES = 128
"""Random transformations of an input that show how far scores are apart."""
MOST_KNOWN = 20_000
"""Transformations of an input whose expectations are kept."""
_DECIMALS = 6
"""Of expectations. Sums round by what else is in a batch, and a search that is resumed asks in other batches."""


class CriticPrior:
    """Expectations of a critic in units of the spread of scores among all transformations of an input. They are sure
    where the critic has learned the search spaces of all inputs."""

    is_slow = True

    def __init__(self, critic: Critic, moves: Sequence[Moves], proxies: PriorProxies | None = None) -> None:
        self._expecting, self._moves, self._proxies = Expecting(copy.deepcopy(critic).double()), moves, proxies
        self.sure = all(critic.familiar.knows(each.network) for each in moves)
        self._units: dict[int, tuple[float, float]] = {}
        self._rows: list[dict[Choice, np.ndarray]] = [{} for _ in moves]  # mean and features of what was asked before

    def mean(self, source: int, choices: Sequence[Choice]) -> np.ndarray:
        return self._known(source, choices)[:, 0]

    def features(self, source: int, choices: Sequence[Choice]) -> np.ndarray:
        return self._known(source, choices)[:, 1:]

    def _known(self, source: int, choices: Sequence[Choice]) -> np.ndarray:
        """Mean and features (n, 1 + d)."""
        rows = self._rows[source]
        if len(rows) > MOST_KNOWN:
            rows.clear()
        new = [choice for choice in dict.fromkeys(choices) if choice not in rows]
        if new or not choices:
            middle, unit = self._unit(source)
            found = self._of(source, new)
            whole = np.concatenate([found.mean[:, None] - middle, found.features], axis=1) / unit
            rows.update(zip(new, np.round(whole, _DECIMALS), strict=True))
            if not choices:
                return whole
        return np.stack([rows[choice] for choice in choices])

    def _of(self, source: int, choices: Sequence[Choice]) -> Expectation:
        moves = self._moves[source]
        if self._proxies is None:
            return self._expecting.of(moves, choices)
        told = self._proxies.of(source, choices, lambda some: self._expecting.of(moves, some))
        return self._expecting.told(moves, choices, told)

    def _unit(self, source: int) -> tuple[float, float]:
        """What is expected of a random transformation, and how far from that they are."""
        if source not in self._units:
            moves, rng = self._moves[source], np.random.default_rng(0)
            drawn = self._of(source, [moves.sample(rng) for _ in range(SAMPLES)])
            unsure = drawn.features - drawn.features.mean(axis=0)
            spread = np.sqrt(drawn.mean.var() + (unsure**2).sum(axis=1).mean() + drawn.noise)
            self._units[source] = float(drawn.mean.mean()), float(spread)
        return self._units[source]
