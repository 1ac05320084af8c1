"""What a critic expects of choices: a graph is built and scored once for all choices that are written the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nat_plugin.ir import Choice, Moves, Network, canonical, is_connected
from nat_plugin.policy.critic import Critic, Expectation
from nat_plugin.policy.graphs import build_graph

MOST_KNOWN = 50_000
"""Networks that are kept."""
BROKEN = -3.0
"""What is expected of a network whose output does not depend on its input, in deviations among all."""


class Expecting:
    """The expectations of a critic, kept by the networks as they would be written. Not by ``key``: two that are written
    differently and compute the same are described a little differently, and what is expected of one must not depend
    on which was met first."""

    def __init__(self, critic: Critic) -> None:
        self._critic = critic
        self._rows: dict[Network, np.ndarray] = {}
        self._factors: dict[Network, float] = {}
        self._noise: float | None = None

    def of(self, moves: Moves, choices: Sequence[Choice]) -> Expectation:
        """What is expected of what a network becomes by each of the choices."""
        if moves.network not in self._factors:
            self._factors[moves.network] = self._critic.familiar.factor(moves.network)
        found = self._of([moves.apply(choice) for choice in choices])
        return Expectation(found.mean, self._factors[moves.network] * found.features, found.noise)

    def _of(self, networks: Sequence[Network]) -> Expectation:
        if len(self._rows) > MOST_KNOWN:
            self._rows.clear()
        written = [canonical(each) if is_connected(each) else None for each in networks]
        new = list(dict.fromkeys(each for each in written if each is not None and each not in self._rows))
        if new or self._noise is None:
            found = self._critic.expect([build_graph(each) for each in new])
            self._noise, width = found.noise, found.features.shape[1]
            self._rows.update(zip(new, np.concatenate([found.mean[:, None], found.features], axis=1), strict=True))
            self._broken = np.array([BROKEN, *np.zeros(width)])
        rows = [self._broken if each is None else self._rows[each] for each in written]
        whole = np.stack(rows) if rows else np.zeros((0, len(self._broken)))
        return Expectation(whole[:, 0], whole[:, 1:], self._noise)
