"""The part of ``nat`` that looks around each of the user's inputs: a process and a policy propose, by turns that what
was measured of each decides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from nat_plugin.ir import Choice, Moves, Network, key
from nat_plugin.policy.sampling import SampledChoice
from nat_plugin.search.base import Measurement, Proposal
from nat_plugin.search.knapsack.ranking import can_rank, least_harm
from nat_plugin.search.nat.engines import Engines
from nat_plugin.search.nat.learner import Learner
from nat_plugin.search.nat.rounds import Round, restored_sample, sample_state
from nat_plugin.search.nat.settings import NATSettings
from nat_plugin.search.nat.start import SearchStart
from nat_plugin.search.records import Records
from nat_plugin.search.surrogate.acquisition import Acquisition, AcquisitionSettings, SurrogateModel
from nat_plugin.search.surrogate.observations import Observation
from nat_plugin.settings import State

FIRST = 3
"""Measurements before there is a process, where nothing that is sure says what to begin with."""
_SMALL = 4096
"""With as many combinations, all can be tried."""
_DRAWS = 32
"""Random choices that are looked at where all else is known."""
_EVERY = 8
"""Measurements between two times that the policy learns from what the process expects."""
_NAMED = 100_000
"""Keys that are kept at most."""
_HEARD = 8
"""Times at most that the policy learns of what was told and is over the budget, before the next proposal."""
_ADDED = 256
"""So many sums of single changes are looked at for one that is new."""
_COMPARED = 32
"""Measurements of an input that a new one is compared with."""


@dataclass(frozen=True)
class Asked:
    """A proposal that is not told yet: input, key and choice, and the sample where the policy made it."""

    source: int
    name: str
    choice: Choice
    sample: SampledChoice | None = None


class LocalSearch:
    """Inputs take turns. Of each the trained policy's own proposal comes first, unless a critic judges it; then the
    process or the policy proposes (``Engines``; without ``learner`` always the process). Where single changes over the
    budget were told, every other proposal is what they add up to least harm in. What computes the same is proposed
    once, and what failed is not proposed again."""

    def __init__(
        self,
        moves: Sequence[Moves],
        settings: NATSettings,
        records: Records,
        rng: np.random.Generator,
        start: SearchStart,
        learner: Learner | None,
    ) -> None:
        self._moves, self._records, self._rng, self._trained, self._learner = (
            moves,
            records,
            rng,
            start.trained,
            learner,
        )
        self._samples, self._at_once = settings.samples, settings.sources
        self._led = start.prior is None or start.prior is start.trained
        first = FIRST if start.trained is None or not (start.prior is None or start.prior.sure) else 0
        self._acquisition = Acquisition(
            moves, rng, AcquisitionSettings(settings.pool, settings.largest, first), start.prior
        )
        self._engines = Engines()
        self._batches: dict[int, Round] = {}  # by input: what the policy proposed since it learned from that
        self._waiting: dict[int, Asked] = {}  # by number of the proposal
        self._failed: list[set[str]] = [set() for _ in moves]
        self._names: dict[tuple[int, Choice], str] = {}  # keys, a cache
        self._rest: list[dict[str, Choice] | None] = [None for _ in moves]  # of small spaces, once it is needed
        self._exhausted = [False for _ in moves]
        self._turn = 0
        self._heard = 0  # measurements of what is over the budget, since the policy learned
        self._adds: list[bool | None] = [None for _ in moves]  # whether the next proposal is a sum of single changes

    @property
    def model(self) -> SurrogateModel | None:
        """What the process made of the prior; None before it was asked."""
        return self._acquisition.model

    @property
    def left_out_rank(self) -> float | None:
        """How well the process ranks what it leaves out; None where it was not asked since ``begin_asking``."""
        return self._acquisition.left_out_rank

    def begin_asking(self) -> None:
        self._acquisition.left_out_rank = None

    def propose(self, number: int) -> Proposal | None:
        """A proposal of that number for the next input that has something new."""
        if self._learner is not None:
            for _ in range(min(_HEARD, self._heard // _EVERY)):
                self._learn_expected()
        self._heard = 0
        for _ in self._moves:
            source = self._turn % len(self._moves)
            self._turn += 1
            asked = None if self._exhausted[source] else self._next(source)
            if asked is not None:
                self._waiting[number] = asked
                if asked.sample is not None:
                    self._batch(source).add(0, asked.sample, number)
                return self.proposal(number)
        return None

    def _next(self, source: int) -> Asked | None:
        waiting = {asked.name: asked.choice for asked in self._waiting.values() if asked.source == source}
        adds = self._adds[source]
        if adds is not None:
            self._adds[source] = not adds
            for choice in islice(self._added(source), _ADDED) if adds else ():
                name = self._new(source, choice, waiting)
                if name is not None:
                    return Asked(source, name, choice)
        if self._learner is not None and self._engines.policy_is_next():
            for sample in self._learner.samples(source):
                name = self._new(source, sample.choice, waiting)
                if name is not None:
                    return Asked(source, name, sample.choice, sample)
        for choice in self._ordered(source, list(waiting.values())):
            name = self._new(source, choice, waiting)
            if name is not None:
                return Asked(source, name, choice)
        self._exhausted[source] = not waiting and self._moves[source].count <= _SMALL
        return None

    def _added(self, source: int) -> Iterator[Choice]:
        known = self._acquisition.observations
        told = [known.told[number] for number in known.by_source[source]]
        return least_harm(self._moves[source], [(each.choice, each.gain) for each in told])

    def _new(self, source: int, choice: Choice, waiting: Iterable[str]) -> str | None:
        """The key of what is not known of an input yet."""
        name = self._names.get((source, choice))
        if name is None:
            if len(self._names) >= _NAMED:
                self._names.clear()
            name = self._names[source, choice] = key(self._moves[source].apply(choice))
        known = name in waiting or name in self._failed[source] or self._records.knows(source, name)
        return None if known else name

    def _ordered(self, source: int, waiting: Sequence[Choice]) -> Iterator[Choice]:
        """The trained policy's own, the promising, then whatever there is, or some of it."""
        also = self._learner.likely(source) if self._learner is not None else []
        if self._trained is not None:
            trained = self._trained.of(source)
            if self._led:
                yield trained.own
            also = [*also, *trained.likely]
        yield from self._acquisition.order(source, waiting, also)
        if self._moves[source].count <= _SMALL:
            yield from self._left(source)
        else:
            yield from (self._moves[source].sample(self._rng) for _ in range(_DRAWS))

    def _left(self, source: int) -> list[Choice]:
        """All of a small space that was not measured and did not fail."""
        rest = self._rest[source]
        if rest is None:
            moves = self._moves[source]
            rest = {key(moves.apply(choice)): choice for choice in moves.all()}
        failed, knows = self._failed[source], self._records.knows
        left = {name: choice for name, choice in rest.items() if not (name in failed or knows(source, name))}
        self._rest[source] = left
        return list(left.values())

    def tell(self, number: int, source: int, network: Network, found: Measurement | None, is_within: bool) -> None:
        """What came of a network that was made of an input, by whoever proposed it; None if it failed."""
        asked, told = self._waiting.pop(number, None), self._acquisition.observations
        if asked is not None:
            self._engines.tell(asked.sample is not None, 0.0 if found is None else self._standing(source, found.gain))
        if found is not None:
            choice = asked.choice if asked is not None else self._moves[source].choice(network)
            told.add(Observation(source, choice, found.gain, found.source_score, is_within))
        elif asked is not None:
            self._failed[source].add(asked.name)
        if not is_within:
            self._hear(source, found)
            return
        if self._learner is None:
            return
        if asked is not None and asked.sample is not None:
            self._learn_measured(source, number, None if found is None else found.gain)
        if found is not None and len(told.told) % _EVERY == 0:
            self._learn_expected()

    def _hear(self, source: int, found: Measurement | None) -> None:
        """Of something over the budget, which says what single changes do."""
        self._heard += found is not None
        if self._adds[source] is None and can_rank(self._moves[source]):
            self._adds[source] = True

    def _standing(self, source: int, gain: float) -> float:
        """The share of the last measurements of an input that a gain is better than, equals by half."""
        told = self._acquisition.observations
        last = [told.told[number].gain for number in told.by_source[source][-_COMPARED:]]
        return sum((gain > each) + (gain == each) / 2 for each in last) / len(last) if last else 0.5

    def _batch(self, source: int) -> Round:
        if source not in self._batches:
            self._batches[source] = Round([self._moves[source]])
        return self._batches[source]

    def _learn_measured(self, source: int, number: int, gain: float | None) -> None:
        batch = self._batch(source)
        batch.tell(number, gain)
        if batch.told >= self._samples:
            assert self._learner is not None
            self._learner.learn_measured(batch)
            self._batches[source] = batch.rest()

    def _learn_expected(self) -> None:
        """Of some inputs of which something was told."""
        told = self._acquisition.observations
        sources = [source for source, numbers in enumerate(told.by_source) if numbers]
        drawn = self._rng.permutation(len(sources))[: self._at_once]
        some = {sources[number]: self._acquisition.promising(sources[number]) for number in drawn}
        assert self._learner is not None
        self._learner.learn_expected(some, lambda source, choices: self._acquisition.belief(source).mean(choices))

    def proposal(self, number: int) -> Proposal | None:
        """One that is not told yet."""
        asked = self._waiting.get(number)
        if asked is None:
            return None
        moves = self._moves[asked.source]
        return Proposal(number, moves.network, moves.apply(asked.choice))

    def state(self) -> State:
        return {
            "waiting": [
                [number, each.source, each.name, list(each.choice), each.sample and sample_state(each.sample)]
                for number, each in self._waiting.items()
            ],
            "failed": [sorted(names) for names in self._failed],
            "exhausted": list(self._exhausted),
            "turn": self._turn,
            "heard": self._heard,
            "adds": list(self._adds),
            "acquisition": self._acquisition.state(),
            "engines": self._engines.state(),
            "batches": [[source, batch.state()] for source, batch in self._batches.items()],
        }

    def restore(self, state: State) -> None:
        self._waiting = {
            number: Asked(source, name, tuple(choice), sample and restored_sample(sample))
            for number, source, name, choice, sample in state["waiting"]
        }
        self._failed = [set(names) for names in state["failed"]]
        self._rest = [None for _ in self._moves]
        self._exhausted = list(state["exhausted"])
        self._turn, self._heard, self._adds = state["turn"], state["heard"], list(state["adds"])
        self._acquisition.restore(state["acquisition"])
        self._engines.restore(state["engines"])
        self._batches = {
            source: Round.restored(each, lambda _, source=source: self._moves[source])  # type: ignore[misc]
            for source, each in state["batches"]
        }
