"""The part of ``nat`` that looks around each of the user's inputs: what a policy likes, judged by a predictor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from nat_plugin.ir import Choice, Moves, Network, key
from nat_plugin.policy.apply import decode
from nat_plugin.policy.network import Policy
from nat_plugin.search.base import Measurement, Proposal, State
from nat_plugin.search.records import Records
from nat_plugin.search.surrogate.acquisition import Acquisition
from nat_plugin.search.surrogate.observations import Observation
from nat_plugin.search.surrogate.policy_prior import PolicyPrior

FIRST = 3
"""Measurements before there is a predictor, where no policy says what to begin with."""
_SMALL = 4096
"""With as many combinations, all can be tried."""
_DRAWS = 32
"""Random choices that are looked at where all else is known."""


class LocalSearch:
    """Inputs take turns. Of each the policy's own proposal comes first, then what the predictor thinks most promising.
    What computes the same is proposed once, and what failed is not proposed again.

    ``policy``: one that was trained, or None until there is one (``set_policy_prior``). ``trust``: its weight as the
    predictor's prior; ``pool`` and ``largest`` as of ``Acquisition``.
    """

    def __init__(
        self,
        moves: Sequence[Moves],
        policy: Policy | None,
        records: Records,
        rng: np.random.Generator,
        trust: float,
        pool: int,
        largest: int,
    ) -> None:
        self._moves, self._policy, self._records, self._rng, self._trust = moves, policy, records, rng, trust
        first = FIRST if policy is None else 0
        self._has_prior = policy is not None and trust > 0
        self._acquisition = Acquisition(moves, rng, pool, largest, self if self._has_prior else None, first)
        self._priors: dict[int, PolicyPrior] = {}  # by input, until the policy changes
        self._waiting: dict[int, tuple[int, str, Choice]] = {}  # by number of the proposal: input, key, choice
        self._failed: list[set[str]] = [set() for _ in moves]
        self._exhausted = [False for _ in moves]
        self._turn = 0

    def propose(self, number: int) -> Proposal | None:
        """A proposal of that number for the next input that has something new."""
        for _ in self._moves:
            source = self._turn % len(self._moves)
            self._turn += 1
            moves = self._moves[source]
            for name, choice in self._new(source):
                self._waiting[number] = source, name, choice
                return Proposal(number, moves.network, moves.apply(choice))
        return None

    def _new(self, source: int) -> Iterator[tuple[str, Choice]]:
        """What is not known of an input yet, with its key."""
        if self._exhausted[source]:
            return
        waiting = {name: choice for owner, name, choice in self._waiting.values() if owner == source}
        for choice in self._ordered(source, list(waiting.values())):
            name = key(self._moves[source].apply(choice))
            if not (name in waiting or name in self._failed[source] or self._records.knows(source, name)):
                yield name, choice
        self._exhausted[source] = not waiting and self._moves[source].count <= _SMALL

    def _ordered(self, source: int, waiting: Sequence[Choice]) -> Iterator[Choice]:
        """The policy's own, the promising, then whatever there is, or some of it."""
        moves, opinion = self._moves[source], self._policy_prior(source)
        if opinion is not None:
            yield opinion.own
        yield from self._acquisition.order(source, waiting, () if opinion is None else opinion.likely)
        yield from moves.all() if moves.count <= _SMALL else (moves.sample(self._rng) for _ in range(_DRAWS))

    def _policy_prior(self, source: int) -> PolicyPrior | None:
        if self._policy is None:
            return None
        if source not in self._priors:
            moves = self._moves[source]
            [(scores, sizes)] = decode(self._policy, [moves])
            self._priors[source] = PolicyPrior(scores, sizes, moves)
        return self._priors[source]

    def mean(self, source: int, choices: Sequence[Choice]) -> np.ndarray:
        """Of the policy as a prior."""
        opinion = self._policy_prior(source)
        assert opinion is not None
        return self._trust * opinion.prior(choices)

    def features(self, source: int, choices: Sequence[Choice]) -> np.ndarray:
        """None: how sure a policy is, it does not say."""
        del source
        return np.zeros((len(choices), 0))

    def set_policy_prior(self, policy: Policy) -> None:
        """A policy that has learned something since."""
        self._policy = policy
        self._priors.clear()
        if self._has_prior:
            self._acquisition.set_prior(self)

    def tell(self, number: int, source: int, network: Network, found: Measurement | None) -> None:
        """What came of a network that was made of an input, by whoever proposed it; None if it failed."""
        asked = self._waiting.pop(number, None)
        if found is not None:
            choice = asked[2] if asked is not None else self._moves[source].choice(network)
            self._acquisition.observations.add(Observation(source, choice, found.gain, found.source_score))
        elif asked is not None:
            self._failed[source].add(asked[1])

    def proposal(self, number: int) -> Proposal | None:
        """One that is not told yet."""
        asked = self._waiting.get(number)
        if asked is None:
            return None
        moves = self._moves[asked[0]]
        return Proposal(number, moves.network, moves.apply(asked[2]))

    def state(self) -> State:
        return {
            "waiting": [
                [number, source, name, list(choice)] for number, (source, name, choice) in self._waiting.items()
            ],
            "failed": [sorted(names) for names in self._failed],
            "exhausted": list(self._exhausted),
            "turn": self._turn,
            "acquisition": self._acquisition.state(),
        }

    def restore(self, state: State) -> None:
        self._waiting = {number: (source, name, tuple(choice)) for number, source, name, choice in state["waiting"]}
        self._failed = [set(names) for names in state["failed"]]
        self._exhausted = list(state["exhausted"])
        self._turn = state["turn"]
        self._acquisition.restore(state["acquisition"])
        self._priors.clear()
