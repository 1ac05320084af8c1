"""What a critic makes of the candidates of inputs, with the features of every kind of network computed once."""

from __future__ import annotations

import numpy as np

from nat_plugin.ir import Network
from nat_plugin.policy.graphs import build_graph
from nat_plugin.policy.training.critics import GainCritic
from nat_plugin.policy.training.inputs import Input
from nat_plugin.policy.training.spaces import NONE, Kinds

CHUNK = 512
"""Networks that are described at a time."""
NARROWED = 1.0
"""What it counts, in deviations among all networks, that the output of a cell joins fewer nodes than before: no table
has cells that lost some, so that what a critic says of them is extrapolated."""


class Judge:
    """Gains by a critic, less ``caution`` deviations where something changes, and less where a cell is narrowed."""

    def __init__(self, critic: GainCritic, kinds: Kinds, caution: float) -> None:
        self.critic, self._kinds, self._caution = critic, kinds, caution
        self._features = np.zeros((0, 0))
        """Of the first ``_known`` kinds; the rows after these are free."""
        self._joined = np.zeros(0, np.int64)
        """How many nodes the outputs of the cells of each join."""
        self._known = 0
        self._gains: dict[int, np.ndarray] = {}
        self.learn(np.arange(len(kinds)))
        self._kept = self._known

    def forget(self) -> None:
        """Features of kinds that were met after it was made."""
        self._known = self._kept

    def learn(self, kinds: np.ndarray) -> None:
        """See to it that features of all kinds up to the largest of these are known."""
        end = int(kinds.max(initial=-1)) + 1
        for start in range(self._known, end, CHUNK):
            networks = self._kinds.networks[start : min(start + CHUNK, end)]
            found = self.critic.encode([build_graph(network) for network in networks])
            self._known = start + len(found)
            if self._known > len(self._features):
                grown = np.zeros((max(2 * len(self._features), self._known), found.shape[1]))
                if start:
                    grown[:start] = self._features[:start]
                self._features = grown
                self._joined = np.concatenate([self._joined, np.zeros(len(grown) - len(self._joined), np.int64)])
            self._features[start : self._known] = found
            self._joined[start : self._known] = [_joined(network) for network in networks]

    def features(self, kinds: np.ndarray) -> np.ndarray:
        """Of kinds (n,), none of them ``NONE``."""
        self.learn(kinds)
        found: np.ndarray = self._features[kinds]
        return found

    def believed(self, before: int, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation of the gain of one kind that becomes others (n,). Of one without an output nothing is
        known: it counts as a network of which all features are 0."""
        features = self.features(after)
        own = self.features(np.array([before])) if before != NONE else np.zeros((1, features.shape[1]))
        return self.critic.gain(own, features)

    def gains(self, source: Input, kinds: np.ndarray) -> np.ndarray:
        """What the policy is to gain by each of these (n,); NaN for ``NONE``."""
        found = np.full(len(kinds), np.nan)
        known = np.flatnonzero(kinds != NONE)
        if len(known):
            mean, deviation = self.believed(source.kind, kinds[known])
            found[known] = mean - self._caution * deviation * (kinds[known] != source.kind)
            if source.kind != NONE:
                found[known] -= NARROWED * (self._joined[kinds[known]] < self._joined[source.kind])
        return found

    def enumerated(self, source: Input) -> np.ndarray:
        """The gains of all that an input may become, (K,), computed once."""
        assert source.kinds is not None
        found = self._gains.get(id(source))
        if found is None:
            found = self._gains[id(source)] = self.gains(source, source.kinds).astype(np.float32)
        return found


def _joined(network: Network) -> int:
    """Of a network without dead operations."""
    return sum(len(cell.output) for _, cell in network.cells)
