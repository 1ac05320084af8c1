"""What a policy file makes of networks without a query: what its critic lets through, where it has a critic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.special import ndtr

from benchmarks.spaces.held_out import SPLIT
from nat_plugin.ir import Choice, Moves, Network, canonical
from nat_plugin.policy.apply import apply_policy
from nat_plugin.policy.critic import Critic
from nat_plugin.policy.critic_files import read_critic
from nat_plugin.policy.expecting import Expecting
from nat_plugin.policy.files import load_policy
from nat_plugin.policy.finding import policy_path
from nat_plugin.policy.graphs import build_graph
from nat_plugin.policy.network import Policy
from nat_plugin.policy.proposing import Suggestion, suggest


@dataclass(frozen=True, eq=False)
class Trained:
    """A policy, and the critic in its file if there is one."""

    policy: Policy
    critic: Critic | None = None
    path: Path = Path()
    split: int = SPLIT
    """Seed of what its training held out."""

    def proposals(self, moves: Sequence[Moves]) -> list[Network]:
        """In the same order."""
        if self.critic is None:
            return apply_policy(moves, self.policy)
        return [each.network for each in self.suggestions(moves)]

    def suggestions(self, moves: Sequence[Moves]) -> list[Suggestion]:
        """With how likely each is to be better; without a critic that is not known, and nothing is held back."""
        if self.critic is not None:
            return suggest(moves, self.policy, self.critic)
        nan = float("nan")
        networks = apply_policy(moves, self.policy)
        return [
            Suggestion(found, found == each.network, nan, nan, nan) for found, each in zip(networks, moves, strict=True)
        ]

    def likely_better(self, moves: Moves, choices: Sequence[Choice]) -> np.ndarray:
        """How likely a measurement of what each choice leads to is better than one of the input (n,)."""
        assert self.critic is not None
        expected = Expecting(self.critic).of(moves, [moves.identity, *choices])
        return _likely(*expected.gain(0, np.arange(1, len(choices) + 1)), expected.noise)

    def compare(
        self, networks: Sequence[Network], first: np.ndarray, second: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """What is expected of networks whose output depends on their input, and of pairs of these by number how likely
        a measurement of the second is better."""
        assert self.critic is not None
        expected = self.critic.expect([build_graph(canonical(each)) for each in networks])
        gain, deviation = expected.gain(first, second)
        factors = np.array([self.critic.familiar.factor(each) for each in networks])
        return expected.mean, _likely(gain, factors[first] * deviation, expected.noise)


def _likely(gain: np.ndarray, deviation: np.ndarray, noise: float) -> np.ndarray:
    found: np.ndarray = ndtr(gain / np.sqrt(deviation**2 + 2 * noise))
    return found


def load_trained(name: str | Path) -> Trained:
    """A policy by its file or by the name of one that ships."""
    path = policy_path(str(name))
    policy, facts = load_policy(path)
    return Trained(policy, read_critic(path, torch.device("cpu")), path, int(facts.get("split") or SPLIT))
