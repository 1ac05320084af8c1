"""Choices around a choice: always admitted, never dearer where it says cheaper, and no further off than need be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from policy.samples import ladder, random_darts

from nat_plugin.errors import NATError
from nat_plugin.ir import Budget, Moves, Network, cost, find_rule, is_connected
from nat_plugin.ir.budget import METRICS
from nat_plugin.search.neighbourhood import cheaper_neighbours, descent, greedy_repair, neighbours, projection, weight
from tests.networks import networks

BUDGETS = [{}, {"macs": "1.0x"}, {"params": "0.6x"}, {"macs": "0.8x", "params": "0.9x"}]


def differences(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    return sum(a != b for a, b in zip(one, other, strict=True))


@settings(max_examples=40)
@given(networks(most_nodes=4), st.sampled_from(["nat", "nat++"]), st.sampled_from(BUDGETS), st.data())
def test_the_nearest_is_admitted_and_a_choice_that_fits_stays(
    network: Network, rule: str, budget: dict[str, object], data: st.DataObject
) -> None:
    try:
        moves = Moves(network, find_rule(rule), Budget.parse(budget).resolve(network))
    except NATError:
        assume(False)
    wanted = tuple(data.draw(st.integers(0, len(options) - 1)) for options in moves.candidates)
    found = projection(moves, wanted)
    moves.verify(moves.apply(found))
    assert moves.admits(wanted) == (found == wanted)


@settings(max_examples=40)
@given(networks(most_nodes=4), st.sampled_from(["nat", "nat++"]), st.sampled_from(BUDGETS), st.integers(0, 100))
def test_a_descent_ends_within_the_limits_and_gains_nothing_on_the_way(
    network: Network, rule: str, budget: dict[str, object], seed: int
) -> None:
    try:
        moves = Moves(network, find_rule(rule), Budget.parse(budget).resolve(network))
    except NATError:
        assume(False)
    found = descent(moves, np.random.default_rng(seed))
    assume(found is not None)
    moves.verify(moves.apply(found))
    own, its = weight(moves, moves.identity), weight(moves, found)
    assert own is None or all(a <= b for a, b in zip(its or (), own, strict=True))
    if moves.admits(moves.identity):
        assert found == moves.identity


def test_descents_use_what_a_budget_allows_and_differ() -> None:
    network = random_darts(np.random.default_rng(3))
    moves = Moves(network, find_rule("nat"), Budget.parse({"macs": "0.8x"}).resolve(network))
    rng = np.random.default_rng(0)
    found = [descent(moves, rng) for _ in range(40)]
    walked = [moves.apply(each) for each in found if each is not None]
    assert len(walked) == 40
    assert len(set(walked)) > 20
    uniform = [moves.apply(moves.sample(rng)) for _ in range(40)]
    assert np.mean([cost(each).macs for each in walked]) > np.mean([cost(each).macs for each in uniform])


@settings(max_examples=40)
@given(networks(most_nodes=4), st.sampled_from(["nat", "nat++"]), st.integers(0, 100))
def test_leaner_neighbours_cost_no_more_of_anything(network: Network, rule: str, seed: int) -> None:
    try:
        moves = Moves(network, find_rule(rule))
    except NATError:
        assume(False)
    choice = moves.sample(np.random.default_rng(seed))
    before, found = cost(moves.apply(choice)), cheaper_neighbours(moves, choice)
    for heft, each in found:
        after = cost(moves.apply(each))
        assert differences(each, choice) == 1
        assert heft[:2] == (after.macs, after.params)
        assert after.macs <= before.macs
        assert after.params <= before.params
    left_out = set(neighbours(moves, choice)) - {each for _, each in found}
    for each in left_out:  # more of something, or nothing less, or not connected
        network = moves.apply(each)
        its, own = weight(moves, each), weight(moves, choice)
        assert its is None or own == its or any(a > b for a, b in zip(its, own or (), strict=True))
        assert (its is None) == (not is_connected(network) or moves.total(each) is None)


def test_steps_to_leaner_neighbours_come_to_an_end() -> None:
    moves = Moves(random_darts(np.random.default_rng(0)), find_rule("nat++"))
    choice, steps, rng = moves.identity, 0, np.random.default_rng(0)
    while around := cheaper_neighbours(moves, choice):
        choice, steps = around[rng.integers(len(around))][1], steps + 1
    assert 8 <= steps <= 16 * 8


def test_as_little_is_taken_away_as_the_budget_demands() -> None:
    network = ladder([3, 4, 2, 3, 4, 1])
    small, large = (cost(ladder([3, 4, 2, 3, 4, 1])).params - cost(ladder(ops)).params
                    for ops in ([3, 4, 1, 3, 4, 1], [3, 4, 2, 1, 4, 1]))  # fmt: skip
    assert 0 < small < large

    def changes(less: int) -> tuple[int, list[str]]:
        limit = cost(network).params - less
        moves = Moves(network, find_rule("nat"), Budget.parse({"params": str(limit)}).resolve(network))
        found = greedy_repair(moves, moves.identity)
        assert found is not None
        ops = [str(op) for op, before in zip(moves.ops(found), network.ops, strict=True) if op != before]
        return cost(network).params - cost(moves.apply(found)).params, ops

    assert changes(0) == (0, [])
    assert changes(1) == (small, ["skip"])
    assert changes(small) == (small, ["skip"])
    assert changes(small + 1) == (large, ["skip"])
    assert changes(large + 1) == (small + large, ["null"])  # without the first convolution the 1x1 gets nothing


def test_a_limit_that_is_no_sum_over_edges_is_kept() -> None:
    """A latency with a part of its own for every operation that is left."""
    network = ladder([3, 3, 3, 3, 3, 3])

    def latency(each: Network) -> float:
        return 1.0 + sum(str(op).startswith("conv") for op in each.ops)

    budget = Budget.parse({"latency": "4"}, {**METRICS, "latency": latency})
    moves = Moves(network, find_rule("nat"), budget.resolve(network))
    found = greedy_repair(moves, moves.identity)
    assert found is not None
    assert latency(moves.apply(found)) == pytest.approx(4)
