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
        [found] = self.of_each([(moves, choices)])
        return found

    def of_each(self, asked: Sequence[tuple[Moves, Sequence[Choice]]]) -> list[Expectation]:
        """The same of several, which takes far less time at once."""
        written = [[_written(moves.apply(choice)) for choice in choices] for moves, choices in asked]
        self._meet([each for some in written for each in some if each is not None])
        assert self._noise is not None
        found = []
        for (moves, _), some in zip(asked, written, strict=True):
            rows = [self._broken if each is None else self._rows[each] for each in some]
            whole = np.stack(rows) if rows else np.zeros((0, len(self._broken)))
            found.append(Expectation(whole[:, 0], self._factor(moves.network) * whole[:, 1:], self._noise))
        return found

    def _factor(self, network: Network) -> float:
        if network not in self._factors:
            self._factors[network] = self._critic.familiar.factor(network)
        return self._factors[network]

    def _meet(self, written: Sequence[Network]) -> None:
        new = list(dict.fromkeys(each for each in written if each not in self._rows))
        if not new and self._noise is not None:
            return
        if len(self._rows) > MOST_KNOWN:
            self._rows.clear()
            new = list(dict.fromkeys(written))
        found = self._critic.expect([build_graph(each) for each in new])
        self._noise, width = found.noise, found.features.shape[1]
        self._rows.update(zip(new, np.concatenate([found.mean[:, None], found.features], axis=1), strict=True))
        self._broken = np.array([BROKEN, *np.zeros(width)])


def _written(network: Network) -> Network | None:
    """None for a network whose output does not depend on its input."""
    return canonical(network) if is_connected(network) else None
