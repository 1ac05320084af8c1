"""The proxies of what an input may become, as a critic is told of them where it is used."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from nat_plugin.errors import NATError
from nat_plugin.evaluators.proxies.cache import KeptProxies, Scored
from nat_plugin.ir import Choice, Moves, Network, is_connected
from nat_plugin.policy.critic import Critic
from nat_plugin.policy.proxy_inputs import in_units

REFERENCES = 16
"""Random moves of an input among which proxies are put into units."""
ScoredOf = Callable[[Network], Scored]
"""A network that differs from an input in ops only, as it is scored."""


class InputProxies:
    """Each network is scored once. NATError for a critic that learned without proxies."""

    def __init__(self, critic: Critic) -> None:
        if not critic.config.proxies:
            raise NATError(
                "this policy's critic was trained without proxies; train one with `critic: {proxies: [...]}`"
            )
        self._kept = KeptProxies(critic.config.proxies, None, str(critic.device))
        self._references: dict[Network, np.ndarray] = {}

    def of(self, moves: Moves, choices: Sequence[Choice], scored: ScoredOf) -> np.ndarray:
        """(n, names), in units among the input and random moves of it; NaN where there are none."""
        if moves.network not in self._references:
            rng = np.random.default_rng(0)
            drawn = [moves.identity, *(moves.sample(rng) for _ in range(REFERENCES))]
            self._references[moves.network] = self._rows(moves, drawn, scored)
        return in_units(self._rows(moves, choices, scored), self._references[moves.network])

    def _rows(self, moves: Moves, choices: Sequence[Choice], scored: ScoredOf) -> np.ndarray:
        """NaN of networks whose output does not depend on their input, too."""
        networks = [moves.apply(choice) for choice in choices]
        there = [number for number, network in enumerate(networks) if is_connected(network)]
        rows = np.full((len(networks), len(self._kept.names)), np.nan)
        rows[there] = self._kept.of([scored(networks[number]) for number in there])
        return rows
