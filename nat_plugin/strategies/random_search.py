"""Random search over legal moves: the baseline that every other strategy has to beat."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import numpy as np

from nat_plugin.ir import Moves, Network, key
from nat_plugin.strategies.base import Measurement, Proposal, Settings, State, Strategy, Task
from nat_plugin.strategies.records import Records, check_inputs

_TRIES = 200
_SMALL = 4096


class RandomStrategy(Strategy):
    """The inputs in turn; slot by slot uniform over the open candidates; what computes the same is proposed once."""

    def __init__(self, task: Task, settings: Settings) -> None:
        super().__init__(task, settings)
        check_inputs(task.inputs)
        self._moves = [Moves(network, task.rule, task.budget.resolve(network)) for network in task.inputs]
        self._records = Records(task.inputs)
        self._seen = [{key(network)} for network in task.inputs]
        self._spent = [False for _ in task.inputs]
        self._number = self._turn = 0
        self._rng = np.random.default_rng(task.seed)

    def ask(self, count: int) -> list[Proposal]:
        """Fewer than ``count`` when everything reachable from every input was proposed."""
        proposals: list[Proposal] = []
        while len(proposals) < count and not all(self._spent):
            source = self._turn % len(self._moves)
            self._turn += 1
            network = None if self._spent[source] else self._new(source)
            if network is None:
                self._spent[source] = True
            else:
                proposals.append(Proposal(self._number, self._moves[source].network, network))
                self._number += 1
        return proposals

    def _new(self, source: int) -> Network | None:
        moves, seen = self._moves[source], self._seen[source]
        for _ in range(_TRIES):
            network = moves.apply(moves.sample(self._rng))
            if key(network) not in seen:
                seen.add(key(network))
                return network
        if moves.count <= _SMALL:  # nearly all was drawn: take the rest in order
            for network in map(moves.apply, moves.all()):
                if key(network) not in seen:
                    seen.add(key(network))
                    return network
        return None

    def tell(self, proposal: Proposal, measurement: Measurement | None) -> None:
        source = self._records.find(proposal.source)
        if measurement is not None and source is not None and math.isfinite(measurement.gain):
            self._records.add(source, proposal.network, measurement.gain, proposal.number)

    def finalists(self, source: Network, count: int) -> Sequence[Network]:
        """By measured gain."""
        number = self._records.find(source)
        if number is None:
            return []
        return [self._records.network(number, record) for record in self._records.best(number, count)]

    def state(self) -> State:
        return {
            "records": self._records.state(),
            "seen": [sorted(seen) for seen in self._seen],
            "spent": list(self._spent),
            "number": self._number,
            "turn": self._turn,
            "rng": json.dumps(self._rng.bit_generator.state),
        }

    def restore(self, state: State) -> None:
        self._records.restore(state["records"])
        self._seen = [set(seen) for seen in state["seen"]]
        self._spent = list(state["spent"])
        self._number, self._turn = state["number"], state["turn"]
        self._rng.bit_generator.state = json.loads(state["rng"])
