"""The baselines on truly trained accuracies: NAS-Bench-201, inputs of 90 % or more, chosen by validation accuracy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nat_plugin.ir import Budget, Moves, Network, find_rule, key
from nat_plugin.search.base import Measurement, Strategy, Task
from nat_plugin.search.evolution import EvolutionSettings, EvolutionStrategy
from nat_plugin.search.exhaustive import ExhaustiveSettings, ExhaustiveStrategy
from nat_plugin.search.greedy import GreedyStrategy
from nat_plugin.search.hill_climb import HillClimbStrategy
from nat_plugin.search.random_search import RandomStrategy
from nat_plugin.search.surrogate.strategy import SurrogateSettings, SurrogateStrategy
from nat_plugin.settings import Settings

NAT = find_rule("nat")


def gains(kind: type[Strategy], settings: Settings, inputs: list[Network], nb201: Any, queries: int) -> np.ndarray:
    """Validation gain of the best so far (0 if there is none) after each query, an input at a time (input, query)."""
    found = np.zeros((len(inputs), queries))
    for seed, network in enumerate(inputs):
        strategy = kind(Task((network,), NAT, Budget(), seed), settings)
        for query in range(queries):
            best = found[seed, max(0, query - 1)]
            for proposal in strategy.ask(1):
                measured = Measurement(nb201.validation(proposal.network), nb201.validation(network))
                strategy.tell(proposal, measured)
                best = max(best, measured.gain)
            found[seed, query] = best
    return found


@pytest.fixture(scope="module")
def inputs(nb201: Any) -> list[Network]:
    return list(nb201.sample(24, seed=0, least=90))


def test_the_order_of_the_baselines_at_ten_and_thirty_queries(inputs: list[Network], nb201: Any) -> None:
    mean = {
        kind: gains(kind, settings, inputs, nb201, queries).mean(axis=0)
        for kind, settings, queries in (
            (RandomStrategy, Settings(), 30),
            (HillClimbStrategy, Settings(), 30),
            (EvolutionStrategy, EvolutionSettings(), 30),
            (GreedyStrategy, Settings(), 30),
            (SurrogateStrategy, SurrogateSettings(), 10),
        )
    }
    ten = {kind: values[9] for kind, values in mean.items()}
    thirty = {kind: values[29] for kind, values in mean.items() if len(values) == 30}
    assert ten[HillClimbStrategy] > ten[RandomStrategy] + 0.15
    assert ten[SurrogateStrategy] > ten[HillClimbStrategy]
    assert ten[GreedyStrategy] > ten[RandomStrategy]
    assert thirty[EvolutionStrategy] > thirty[RandomStrategy]
    assert thirty[HillClimbStrategy] > thirty[RandomStrategy]
    assert thirty[GreedyStrategy] < thirty[HillClimbStrategy]  # it never adds what is not there


def test_exhaustive_search_finds_the_best_of_all(inputs: list[Network], nb201: Any) -> None:
    some = inputs[:6]
    found = gains(ExhaustiveStrategy, ExhaustiveSettings(), some, nb201, 400)[:, -1]
    for network, gain in zip(some, found, strict=True):
        moves = Moves(network, NAT)
        best: dict[str, float] = {}
        for choice in moves.all():  # of cells that compute the same, the first in order stands for all
            best.setdefault(key(moves.apply(choice)), nb201.validation(moves.apply(choice)))
        assert gain == pytest.approx(max(best.values()) - nb201.validation(network))
