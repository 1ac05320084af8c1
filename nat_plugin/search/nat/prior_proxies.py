"""Proxies of the transformations of an input that a critic finds most promising, so that it judges these anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from nat_plugin.ir import Choice, Moves, Network, canonical, is_connected
from nat_plugin.policy.critic import Critic, Expectation
from nat_plugin.policy.input_proxies import InputProxies, ScoredOf
from nat_plugin.search.neighbourhood import neighbours

DRAWN = 512
"""Random transformations of an input among which the promising ones are looked for, beside its neighbours."""


class PriorProxies:
    """Of each input the ``most`` promising ones by the critic alone are scored once, when it is first asked of."""

    def __init__(self, critic: Critic, moves: Sequence[Moves], scoring: ScoredOf, most: int) -> None:
        self._proxies, self._moves, self._scoring, self._most = InputProxies(critic), moves, scoring, most
        self._none = np.full(len(critic.config.proxies), np.nan)
        self._rows: dict[int, dict[Network, np.ndarray]] = {}

    def of(
        self, source: int, choices: Sequence[Choice], expected: Callable[[Sequence[Choice]], Expectation]
    ) -> np.ndarray:
        """(n, names), NaN for what was not scored. ``expected``: by the critic without proxies."""
        if source not in self._rows:
            self._rows[source] = self._scored(source, expected)
        known, moves = self._rows[source], self._moves[source]
        written = [_written(moves, choice) for choice in choices]
        rows = [self._none if each is None else known.get(each, self._none) for each in written]
        return np.array(rows).reshape(len(choices), len(self._none))

    def _scored(self, source: int, expected: Callable[[Sequence[Choice]], Expectation]) -> dict[Network, np.ndarray]:
        moves, rng = self._moves[source], np.random.default_rng(0)
        drawn = [moves.identity, *neighbours(moves, moves.identity), *(moves.sample(rng) for _ in range(DRAWN))]
        by_network = {_written(moves, choice): choice for choice in dict.fromkeys(drawn) if moves.admits(choice)}
        by_network.pop(None, None)
        choices = list(by_network.values())
        found = expected(choices)
        hopeful = found.mean + np.linalg.norm(found.features, axis=1)
        best = [choices[number] for number in np.argsort(-hopeful, kind="stable")[: self._most].tolist()]
        wanted = [moves.identity, *best]
        rows = self._proxies.of(moves, wanted, self._scoring)
        written = (_written(moves, choice) for choice in wanted)
        return {each: row for each, row in zip(written, rows, strict=True) if each is not None}


def _written(moves: Moves, choice: Choice) -> Network | None:
    """None for a network whose output does not depend on its input."""
    network = moves.apply(choice)
    return canonical(network) if is_connected(network) else None
