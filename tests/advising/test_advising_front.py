"""The front of combinations: by trying all of a small space, the least harm for what is saved, within every limit."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from policy.samples import ladder

from nat_plugin.advising.front import LATENCY, MOST_HARM, SavedLatency, front
from nat_plugin.ir import Budget, Choice, Limits, Moves, find_rule
from nat_plugin.ir.budget import METRICS

WHOLE, HARM = 100.0, 0.04


class Space:
    """A network of which every change saves and harms something drawn by a seed."""

    def __init__(self, seed: int, **budget: str) -> None:
        rng = np.random.default_rng(seed)
        network = ladder((3, 3, 4, 3, 1, 2))
        free = Moves(network, find_rule("nat"))
        pairs = [(slot, op) for slot, ops in zip(free.slots, free.candidates, strict=True) for op in ops[1:]]
        self.latency = SavedLatency(WHOLE, {pair: float(rng.uniform(1, 9)) for pair in pairs})
        metrics = {**METRICS, LATENCY: self.latency}
        limits = Budget.parse(budget, metrics).resolve(network) if budget else Limits((), metrics)
        self.moves = Moves(network, find_rule("nat"), limits)
        self.harms = [np.array([0, *rng.uniform(0, HARM, len(ops) - 1)]) for ops in free.candidates]

    def harm(self, choice: Choice) -> float:
        return sum(float(harms[index]) for harms, index in zip(self.harms, choice, strict=True))

    def ms(self, choice: Choice) -> float:
        return self.latency(self.moves.apply(choice))

    def every(self) -> list[Choice]:
        options = itertools.product(*(range(len(ops)) for ops in self.moves.candidates))
        return [choice for choice in options if self.moves.admits(choice)]


@pytest.mark.parametrize("budget", [{}, {"macs": "0.8x"}, {"latency": "0.9x", "params": "0.9x"}])
def test_nothing_that_is_legal_and_within_the_limits_saves_as_much_for_less(budget: dict[str, str]) -> None:
    space = Space(0, **budget)
    found = list(front(space.moves, space.harms, 6))
    known = [(space.ms(choice), space.harm(choice)) for choice in space.every()]
    assert len(found) > 1
    assert sorted((space.ms(choice) for choice in found), reverse=True) == [space.ms(choice) for choice in found]
    for choice in found:
        space.moves.verify(space.moves.apply(choice))
        ms, harm = space.ms(choice), space.harm(choice)
        assert harm <= MOST_HARM
        assert sum(map(bool, choice)) > 1
        assert harm <= min(other for taken, other in known if taken <= ms) + 1e-9


def test_what_is_not_to_be_used_is_in_none() -> None:
    space = Space(1)
    space.harms[0][1:] = np.inf
    assert all(choice[0] == 0 for choice in front(space.moves, space.harms, 6))


def test_latency_is_the_sum_of_what_is_saved() -> None:
    space = Space(2)
    network = space.moves.network
    assert space.latency(network) == pytest.approx(WHOLE)
