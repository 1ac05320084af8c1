"""From a strategy's proposals to models to be trained, and back; knows networks and scores, nothing of NNI.

A proposal asks how much better a network is than its input. NNI measures one model at a time, so the score of each
network that computes something else is kept: every input is measured once, a network that is proposed again is answered
from what is known, and a result that arrives before that of its input waits for it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nat_plugin import NATError, Strategy
from nat_plugin.extending import Measurement, Proposal, State
from nat_plugin.ir import Network, Op, key

PATIENCE = 1000
"""Proposals in a row that are all known before a strategy is taken to have no more."""


class Trials:
    """What is to be trained next, and what came of it. Not to be used by two threads at once."""

    def __init__(self, strategy: Strategy, inputs: Sequence[Network]) -> None:
        self.strategy, self.inputs = strategy, tuple(inputs)
        self._numbers = {network: number for number, network in reversed(list(enumerate(self.inputs)))}
        self._input_keys = [key(network) for network in self.inputs]
        self._scores: dict[str, float | None] = {}  # by key; None if that failed
        self._running: dict[str, list[Proposal]] = {}  # by key: what a result answers, besides an input
        self._early: list[tuple[Proposal, float | None]] = []  # results that came before those of their inputs
        self._again: list[Network] = []  # under way when the state was saved

    @property
    def running(self) -> int:
        return len(self._running)

    def next(self) -> tuple[int, Network] | None:
        """The next network to train, and the number of the input that it comes from; None if there is none, for good
        or until one that is running ends. NATError when every input failed: then there is nothing to compare with."""
        if self._again:
            network = self._again.pop(0)
            return self._source(key(network)), network
        for number, name in enumerate(self._input_keys):
            if name not in self._scores and name not in self._running:
                self._running[name] = []
                return number, self.inputs[number]
        if all(name in self._scores and self._scores[name] is None for name in self._input_keys):
            raise NATError(_ALL_FAILED)
        for _ in range(PATIENCE):
            proposals = self.strategy.ask(1)
            if not proposals:
                return None
            number = self._number(proposals[0])
            if self._taken(proposals[0], number):
                return number, proposals[0].network
        return None

    def end(self, network: Network, score: float | None) -> None:
        """What came of training a network: a finite score, higher is better, or that it failed."""
        name = key(network)
        measured = score if score is not None and math.isfinite(score) else None
        self._scores[name] = measured
        for proposal in self._running.pop(name, []):
            self._answer(proposal, measured)
        if name in self._input_keys:
            early, self._early = self._early, []
            for proposal, early_score in early:
                self._answer(proposal, early_score)

    def _taken(self, proposal: Proposal, number: int) -> bool:
        """Whether a proposal is to be trained; otherwise it is answered now, or by what is running already."""
        name, own = key(proposal.network), self._input_keys[number]
        if own in self._scores and self._scores[own] is None:
            self.strategy.tell(proposal, None)
        elif name in self._scores:
            self._answer(proposal, self._scores[name])
        elif name in self._running:
            self._running[name].append(proposal)
        else:
            self._running[name] = [proposal]
            return True
        return False

    def _answer(self, proposal: Proposal, score: float | None) -> None:
        own = self._input_keys[self._number(proposal)]
        if own not in self._scores:
            self._early.append((proposal, score))
            return
        input_score = self._scores[own]
        known = score is not None and input_score is not None
        self.strategy.tell(proposal, Measurement(score, input_score) if known else None)  # type: ignore[arg-type]

    def _number(self, proposal: Proposal) -> int:
        number = self._numbers.get(proposal.source)
        if number is None:
            raise NATError(
                "the strategy asks for an input that is not yours, which would cost a trial of its own; "
                "set mix={'input': 1, 'neighbours': 0, 'random': 0}"
            )
        return number

    def _source(self, name: str) -> int:
        """The input that a running network comes from."""
        proposals = self._running[name]
        return self._number(proposals[0]) if proposals else self._input_keys.index(name)

    def state(self) -> State:
        """Everything needed to go on. What is running counts as not done, and comes first then."""
        running = [[name, [self._written(each) for each in proposals]] for name, proposals in self._running.items()]
        return {
            "scores": dict(self._scores),
            "running": running,
            "early": [[self._written(proposal), score] for proposal, score in self._early],
            "strategy": self.strategy.state(),
        }

    def restore(self, state: State) -> None:
        self.strategy.restore(state["strategy"])
        self._scores = dict(state["scores"])
        self._running = {name: [self._read(each) for each in proposals] for name, proposals in state["running"]}
        self._early = [(self._read(proposal), score) for proposal, score in state["early"]]
        self._again = [
            proposals[0].network if proposals else self.inputs[self._input_keys.index(name)]
            for name, proposals in self._running.items()
        ]

    def _written(self, proposal: Proposal) -> list[Any]:
        return [proposal.number, self._number(proposal), list(map(str, proposal.network.ops))]

    def _read(self, written: list[Any]) -> Proposal:
        number, source, ops = written
        network = self.inputs[source]
        return Proposal(number, network, network.with_ops([Op.parse(text) for text in ops]))


_ALL_FAILED = (
    "no input architecture could be measured: its trial failed, or ended without a finite number; an evaluator has to "
    "call nni.report_final_result(accuracy), and so have its own log to say what went wrong"
)
