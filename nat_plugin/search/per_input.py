"""What strategies share that search from each of the user's inputs by itself.

The inputs take turns; for an input, what computes the same is proposed once, and the input itself never; what was
measured is kept, and the best of it are the finalists.
"""

from __future__ import annotations

import json
import math
from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from nat_plugin.ir import Choice, Moves, Network, key
from nat_plugin.search.base import Measurement, Proposal, Strategy, Task
from nat_plugin.search.records import Records, check_inputs
from nat_plugin.settings import AnySettings, State

_SMALL = 4096
"""With as many combinations, all can be tried."""
_TRIES = {True: 32, False: 200}
"""Draws that bring nothing new before chance is given up, in small spaces and large ones."""
_KEPT = 100_000
"""Keys that are kept at most."""


class PerInput(Strategy):
    """Inputs go by their number in the task, what may become of one by its choice. A strategy says what to propose next
    for an input, and may keep more state."""

    def __init__(self, task: Task, settings: AnySettings) -> None:
        super().__init__(task, settings)
        check_inputs(task.inputs)
        self.moves = [Moves(network, task.rule, task.budget.resolve(network)) for network in task.inputs]
        self.records = Records(task.inputs)
        self.rng = np.random.default_rng(task.seed)
        self.number = 0
        """Of the next proposal."""
        self._input_keys = [key(network) for network in task.inputs]
        self._seen = [{name} for name in self._input_keys]  # and of all that was proposed or told
        self._waiting: dict[int, tuple[int, Choice]] = {}  # proposals that are not told yet: their inputs and choices
        self._keys: dict[tuple[int, Choice], str] = {}  # a cache
        self._drawn_out = [False for _ in task.inputs]
        self._rest: list[dict[str, Choice] | None] = [None for _ in task.inputs]  # by key, once drawn out
        self._turn = 0

    @abstractmethod
    def propose(self, source: int) -> Choice | None:
        """What to propose next for an input: admitted, and ``is_new``; None if there is nothing, for good or until more
        is told."""

    def learn(self, source: int, number: int, choice: Choice, found: Measurement | None) -> None:
        """What came of a proposal, once for each; None if it failed."""

    def hear(self, source: int, number: int, choice: Choice, found: Measurement) -> None:
        """What somebody else proposed and measured: it may be over the budget, and is no result then."""

    def ask(self, count: int) -> list[Proposal]:
        """Fewer than ``count`` when no input has another proposal."""
        proposals: list[Proposal] = []
        without = 0
        while len(proposals) < count and without < len(self.moves):
            source = self._turn % len(self.moves)
            self._turn += 1
            choice = self.propose(source)
            if choice is None:
                without += 1
                continue
            without = 0
            moves = self.moves[source]
            self._seen[source].add(self.key_of(source, choice))
            self._waiting[self.number] = source, choice
            proposals.append(Proposal(self.number, moves.network, moves.apply(choice)))
            self.number += 1
        return proposals

    def tell(self, proposal: Proposal, measurement: Measurement | None) -> None:
        """A gain that is not finite counts as a failure. What was measured elsewhere can be told too, and is not
        proposed then; where it is over the budget it says something of others, and is no finalist."""
        found = measurement if measurement is not None and math.isfinite(measurement.gain) else None
        asked = self._waiting.pop(proposal.number, None)
        source = self.records.find(proposal.source) if asked is None else asked[0]
        if source is None:
            return
        self._seen[source].add(key(proposal.network))
        choice = self.moves[source].choice(proposal.network) if asked is None else asked[1]
        if found is not None and (asked is not None or self.moves[source].admits(choice)):
            self.records.add(source, proposal.network, found.gain, proposal.number)
        if asked is not None:
            self.learn(source, proposal.number, choice, found)
        elif found is not None:
            self.hear(source, proposal.number, choice, found)

    def key_of(self, source: int, choice: Choice) -> str:
        """The key of the network that a choice gives."""
        name = self._keys.get((source, choice))
        if name is None:
            if len(self._keys) >= _KEPT:
                self._keys.clear()
            name = self._keys[source, choice] = key(self.moves[source].apply(choice))
        return name

    def is_new(self, source: int, choice: Choice) -> bool:
        """Whether nothing that computes the same was proposed or told, and it is not the input."""
        return self.key_of(source, choice) not in self._seen[source]

    def waiting(self, source: int) -> list[Choice]:
        """What was proposed for an input and is not told yet."""
        return [choice for number, choice in self._waiting.values() if number == source]

    def gain(self, source: int, choice: Choice) -> float | None:
        """What is known of all that compute the same: 0 for the input itself, None if none was measured."""
        name = self.key_of(source, choice)
        return 0.0 if name == self._input_keys[source] else self.records.gain(source, name)

    def fresh(self, source: int) -> Choice | None:
        """A random new choice, slot by slot uniform over the open candidates. Once chance finds no more, one of the
        rest; None where there are too many to try all, or none is left."""
        moves, small = self.moves[source], self.moves[source].count <= _SMALL
        for _ in range(0 if self._drawn_out[source] else _TRIES[small]):
            choice = moves.sample(self.rng)
            if self.is_new(source, choice):
                return choice
        self._drawn_out[source] = True
        rest = self._left_over(source) if small else []
        return rest[self.rng.integers(len(rest))] if rest else None

    def _left_over(self, source: int) -> list[Choice]:
        """All that is new, one for each key, in order."""
        known = self._rest[source]
        if known is None:
            known = {self.key_of(source, choice): choice for choice in self.moves[source].all()}
        left = {name: choice for name, choice in known.items() if name not in self._seen[source]}
        self._rest[source] = left
        return list(left.values())

    def finalists(self, source: Network, count: int) -> Sequence[Network]:
        """By measured gain."""
        number = self.records.find(source)
        if number is None:
            return []
        return [self.records.network(number, record) for record in self.records.best(number, count)]

    def state(self) -> State:
        return {
            "records": self.records.state(),
            "seen": [sorted(seen) for seen in self._seen],
            "waiting": [[number, source, list(choice)] for number, (source, choice) in self._waiting.items()],
            "drawn_out": list(self._drawn_out),
            "number": self.number,
            "turn": self._turn,
            "rng": json.dumps(self.rng.bit_generator.state),
        }

    def restore(self, state: State) -> None:
        self.records.restore(state["records"])
        self._seen = [set(seen) for seen in state["seen"]]
        self._waiting = {number: (source, tuple(choice)) for number, source, choice in state["waiting"]}
        self._drawn_out = list(state["drawn_out"])
        self._rest = [None for _ in self.moves]
        self.number, self._turn = state["number"], state["turn"]
        self.rng.bit_generator.state = json.loads(state["rng"])
