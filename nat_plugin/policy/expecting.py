"""What a critic expects of choices: graphs are built and scored once for all choices that compute the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nat_plugin.ir import Choice, Moves, Network, canonical, key
from nat_plugin.policy.critic import Critic, Expectation
from nat_plugin.policy.graphs import build_graph

MOST_KNOWN = 100_000
"""Networks that are kept."""


class Expecting:
    """The expectations of a critic of networks (each connected), kept by what they compute."""

    def __init__(self, critic: Critic) -> None:
        self._critic = critic
        self._names: dict[tuple[Moves, Choice], str] = {}
        self._rows: dict[str, np.ndarray] = {}
        self._noise = 0.0

    def of(self, networks: Sequence[Network]) -> Expectation:
        """In the same order."""
        return self._found([key(each) for each in networks], networks)

    def of_choices(self, moves: Moves, choices: Sequence[Choice]) -> Expectation:
        """What is expected of what a network becomes by each of the choices."""
        if len(self._names) > MOST_KNOWN:
            self._names.clear()
        names = []
        for choice in choices:
            name = self._names.get((moves, choice))
            if name is None:
                name = self._names[moves, choice] = key(moves.apply(choice))
            names.append(name)
        return self._found(names, [moves.apply(choice) for choice in choices])

    def _found(self, names: Sequence[str], networks: Sequence[Network]) -> Expectation:
        if len(self._rows) > MOST_KNOWN:
            self._rows.clear()
        new = {name: each for name, each in zip(names, networks, strict=True) if name not in self._rows}
        if new or not self._rows:
            found = self._critic.expect([build_graph(canonical(each)) for each in new.values()])
            rows = np.concatenate([found.mean[:, None], found.features], axis=1)
            self._rows.update(zip(new, rows, strict=True))
            self._noise = found.noise
        whole = np.stack([self._rows[name] for name in names])
        return Expectation(whole[:, 0], whole[:, 1:], self._noise)
