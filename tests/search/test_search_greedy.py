"""Greedy elimination: every drop of a step is measured, the one that costs least is made."""

from __future__ import annotations

import numpy as np
import pytest
from policy.samples import ladder, random_darts

from nat_plugin.ir import Budget, Moves, Network, cost, find_rule, key
from nat_plugin.search.base import Measurement, Proposal, Task
from nat_plugin.search.greedy import GreedyStrategy
from nat_plugin.search.neighbourhood import cheaper_neighbours
from nat_plugin.settings import Settings

NAT = find_rule("nat")
LADDER = ladder([3, 2, 4, 3, 1, 3])


def tell(strategy: GreedyStrategy, proposals: list[Proposal], gains: dict[str, float]) -> None:
    for proposal in proposals:
        strategy.tell(proposal, Measurement(gains[key(proposal.network)], 0.0))


def test_a_step_is_all_drops_and_the_next_goes_on_from_the_best_of_them() -> None:
    moves = Moves(LADDER, NAT)
    strategy = GreedyStrategy(Task((LADDER,), NAT, Budget()), Settings())
    at, steps = moves.identity, 0
    measured: dict[str, float] = {key(LADDER): 0.0}
    rng = np.random.default_rng(0)
    while True:
        drops = {
            key(moves.apply(choice)): (heft, choice)
            for heft, choice in sorted(cheaper_neighbours(moves, at), reverse=True)
        }
        proposals = strategy.ask(1000)
        assert {key(p.network) for p in proposals} == drops.keys() - measured.keys()
        if not drops:
            break
        if proposals:
            assert strategy.ask(1) == []  # it waits until all of the step is told
        measured |= {key(proposal.network): float(rng.normal(-1)) for proposal in proposals}
        tell(strategy, proposals, measured)
        at = drops[max(drops, key=lambda name: measured[name])][1]
        steps += 1
    assert steps >= 6
    best = max(measured.items(), key=lambda pair: pair[1] if pair[0] != key(LADDER) else -np.inf)
    assert key(strategy.finalists(LADDER, 1)[0]) == best[0]


def test_of_equals_the_leanest() -> None:
    network = ladder([3, 2, 3], [(0, 1), (0, 2), (1, 2)])
    strategy = GreedyStrategy(Task((network,), NAT, Budget()), Settings())
    first = strategy.ask(100)
    for proposal in first:
        strategy.tell(proposal, Measurement(0.0, 0.0))
    leanest = min((p.network for p in first), key=lambda each: (cost(each).macs, cost(each).params))
    second = strategy.ask(100)
    assert second
    for proposal in second:
        assert sum(a != b for a, b in zip(proposal.network.ops, leanest.ops, strict=True)) == 1


@pytest.mark.parametrize("budget", [{"params": "0.7x"}, {"macs": "0.6x", "params": "0.8x"}])
def test_from_over_the_budget_every_drop_is_completed_into_it(budget: dict[str, object]) -> None:
    network = random_darts(np.random.default_rng(0))
    task = Task((network,), NAT, Budget.parse(budget))
    strategy = GreedyStrategy(task, Settings())
    limits = task.budget.resolve(network)
    first = strategy.ask(1000)
    assert len(first) >= 8
    changes = [{i for i, (a, b) in enumerate(zip(p.network.ops, network.ops, strict=True)) if a != b} for p in first]
    assert set().union(*changes) == {i for i, op in enumerate(network.ops) if not op.is_null}  # each was tried
    for proposal in first:
        assert limits.fit(proposal.network)
        strategy.tell(proposal, Measurement(-float(proposal.number), 0.0))
    for proposal in strategy.ask(1000):  # from the best, which is within: single drops
        assert sum(a != b for a, b in zip(proposal.network.ops, first[0].network.ops, strict=True)) == 1


def test_what_failed_is_not_made_and_a_step_that_failed_whole_is_the_last() -> None:
    strategy = GreedyStrategy(Task((LADDER,), NAT, Budget()), Settings())
    first = strategy.ask(1000)
    kept = first[3]
    for proposal in first:
        strategy.tell(proposal, Measurement(-9.0, 0.0) if proposal is kept else None)
    second = strategy.ask(1000)
    assert second
    for proposal in second:
        assert sum(a != b for a, b in zip(proposal.network.ops, kept.network.ops, strict=True)) == 1
        strategy.tell(proposal, None)
    left: list[Network] = [proposal.network for proposal in strategy.ask(10)]
    assert left == []
