"""The knapsack: exact by brute force, within every limit, and what it makes of what was measured."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from policy.samples import ladder, random_darts

from nat_plugin.errors import NATError
from nat_plugin.ir import Budget, Choice, Moves, Network, Op, Slot, find_rule
from nat_plugin.ir.budget import METRICS, Additive
from nat_plugin.search.base import Measurement, Proposal, Task
from nat_plugin.search.knapsack import packing
from nat_plugin.search.knapsack.harms import harms
from nat_plugin.search.knapsack.packing import Packing, undominated
from nat_plugin.search.knapsack.strategy import KnapsackSettings, KnapsackStrategy, combinations
from nat_plugin.search.nat.settings import NATSettings
from nat_plugin.search.nat.strategy import NATStrategy
from nat_plugin.search.neighbourhood import changed
from tests.networks import networks

NUMBERS = st.integers(-3, 9)


@st.composite
def problems(draw: st.DrawFn) -> tuple[list[np.ndarray], list[np.ndarray], list[float]]:
    count = draw(st.integers(0, 2))
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    costs = [
        np.array([[draw(NUMBERS) for _ in range(count)] for _ in range(n)], float).reshape(n, count) for n in sizes
    ]
    harms = [np.array([draw(NUMBERS) for _ in range(n)], float) for n in sizes]
    return costs, harms, [float(draw(st.integers(-5, 25))) for _ in range(count)]


@settings(max_examples=40)
@given(problems())
def test_every_choice_within_the_limits_is_named_once_the_least_harm_first(problem: Any) -> None:
    costs, harms, limits = problem
    found = list(Packing(costs, harms, limits).best_first())
    every = {}
    for choice in itertools.product(*(range(len(each)) for each in harms)):
        spent = sum(costs[group][item] for group, item in enumerate(choice))
        if (spent <= limits).all():
            every[choice] = sum(harms[group][item] for group, item in enumerate(choice))
    assert {choice: harm for harm, choice in found} == pytest.approx(every)
    assert len(found) == len(every)
    assert [harm for harm, _ in found] == sorted(harm for harm, _ in found)


@settings(max_examples=40)
@given(st.integers(1, 3), st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=25))
def test_of_equal_or_better_rows_one_stays(columns: int, drawn: list[tuple[int, int, int]]) -> None:
    rows = np.array(drawn, float)[:, :columns]
    kept = undominated(rows)
    for row in rows:
        assert any((each <= row).all() for each in kept)
    for one, other in itertools.permutations(kept, 2):
        assert not (one <= other).all()


def test_with_too_many_ways_costs_are_rounded_up_and_limits_still_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    costs = [rng.random((6, 1)) for _ in range(8)]
    harms = [rng.random(6) for _ in range(8)]
    exact = Packing(costs, harms, [3.0])
    monkeypatch.setitem(packing.MOST, 1, 12)
    rounded = Packing(costs, harms, [3.0])
    assert (exact.is_exact, rounded.is_exact) == (True, False)
    (best, _), (near, choice) = next(exact.best_first()), next(rounded.best_first())
    assert sum(float(costs[group][item, 0]) for group, item in enumerate(choice)) <= 3.0
    assert best <= near <= best + 0.1


class Energy(Additive):
    """Made up: an op takes its place and the length of its name."""

    fixed = 3.0

    def of(self, slot: Slot, op: Op) -> float:
        return slot.index + len(str(op)) / 4


ALL = {**METRICS, "energy": Energy()}


def drawn(moves: Moves, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    found = [rng.normal(1, 2, len(options)) for options in moves.candidates]
    for each in found:
        each[0] = 0
    return found


def total(harms: list[np.ndarray], choice: Choice) -> float:
    return sum(float(harms[slot][index]) for slot, index in enumerate(choice))


@settings(max_examples=20)
@given(
    networks(most_nodes=3),
    st.sampled_from([{}, {"macs": "0.9x"}, {"energy": "0.8x"}, {"params": "1.0x", "energy": "0.9x"}]),
    st.integers(0, 1000),
)
def test_combinations_come_in_order_of_their_harm_and_none_is_missing(
    network: Network, budget: dict[str, str], seed: int
) -> None:
    """Whatever is dead in them: by brute force, for any limits on sums."""
    try:
        moves = Moves(network, find_rule("nat"), Budget.parse(budget, ALL).resolve(network))
    except NATError:
        assume(False)
    assume(moves.count <= 1000)
    weights = drawn(moves, seed)
    found = list(combinations(moves, weights))
    assert sorted(found) == sorted(moves.all())
    assert [total(weights, each) for each in found] == pytest.approx(sorted(total(weights, each) for each in found))


def test_of_a_large_cell_what_is_named_is_within_the_limits() -> None:
    network = random_darts(np.random.default_rng(0))
    moves = Moves(network, find_rule("nat++"), Budget.parse({"params": "0.7x", "macs": "0.7x"}).resolve(network))
    weights = drawn(moves, 0)
    found = list(itertools.islice(combinations(moves, weights), 5))
    harms = [total(weights, each) for each in found]
    assert harms == sorted(harms)
    assert all(moves.admits(each) for each in found)
    samples = [total(weights, moves.sample(np.random.default_rng(seed))) for seed in range(20)]
    assert harms[0] < min(samples)


def test_a_change_that_was_measured_alone_does_just_that_harm() -> None:
    moves = Moves(ladder([3, 4, 2, 3, 4, 3]), find_rule("nat++"))
    weights = drawn(moves, 1)
    singles = [
        tuple(index if slot == here else 0 for slot in range(6))
        for here, options in enumerate(moves.candidates)
        for index in range(1, len(options))
    ]
    found = harms(moves, [(each, total(weights, each)) for each in singles])
    assert [each.tolist() for each in found] == [pytest.approx(each.tolist(), abs=1e-4) for each in weights]
    half = harms(moves, [(each, 0.5) for each in singles[::2]])
    assert all(np.isfinite(each).all() for each in half)
    assert all(each[0] == 0 for each in half)


def test_of_changes_that_were_measured_alone_what_they_do_together_is_no_news() -> None:
    """Large harms do not add up: what is missing from a sum must not make any of its changes look harmless."""
    moves = Moves(ladder([3, 2, 3, 3, 1, 3]), find_rule("nat++"))
    singles = [
        changed(moves.identity, s, i) for s, options in enumerate(moves.candidates) for i in range(1, len(options))
    ]
    alone = [(each, 1.0) for each in singles]
    ruined = (tuple(min(1, len(options) - 1) for options in moves.candidates), 1.2)
    found = harms(moves, [*alone, *[ruined] * 5])
    for slot, options in enumerate(moves.candidates):
        assert found[slot][1:] == pytest.approx(np.ones(len(options) - 1), abs=1e-3)


def test_where_harms_add_up_the_first_combination_is_the_best() -> None:
    network = ladder([3, 4, 4, 3, 4, 3])
    strategy = KnapsackStrategy(Task((network,), find_rule("nat"), Budget(), 0), KnapsackSettings())
    [moves] = strategy.moves
    weights = [np.array([0, -1, 2]), np.array([0, 1, 3]), *drawn(moves, 2)[2:]]

    def told(count: int) -> list[Choice]:
        proposals = strategy.ask(count)
        choices = [moves.choice(each.network) for each in proposals]
        for proposal, choice in zip(proposals, choices, strict=True):
            strategy.tell(proposal, Measurement(-total(weights, choice), 0.0))
        return choices

    singles = told(12)
    assert all(sum(index > 0 for index in choice) == 1 for choice in singles)
    assert len(set(singles)) == 12
    [first] = told(1)
    assert first == min(moves.all(), key=lambda choice: total(weights, choice))


def test_of_an_input_over_the_budget_changes_that_were_told_are_not_measured_again() -> None:
    network, budget = ladder([3, 4, 4, 3, 4, 3]), Budget.parse({"macs": "0.6x"})
    strategy = KnapsackStrategy(Task((network,), find_rule("nat"), budget, 0), KnapsackSettings())
    [moves] = strategy.moves
    weights = drawn(moves, 1)
    singles = [
        changed(moves.identity, slot, i) for slot, ops in enumerate(moves.candidates) for i in range(1, len(ops))
    ]
    for number, choice in enumerate(singles):
        strategy.tell(Proposal(-1 - number, network, moves.apply(choice)), Measurement(-total(weights, choice), 0.0))
    [first] = strategy.ask(1)
    assert moves.choice(first.network) == min(moves.all(), key=lambda choice: total(weights, choice))


def test_nat_begins_with_what_single_changes_add_up_to() -> None:
    network, budget = ladder([3, 4, 4, 3, 4, 3]), Budget.parse({"macs": "0.6x"})
    strategy = NATStrategy(Task((network,), find_rule("nat"), budget, 0, 8), NATSettings(hidden=8, rounds=1))
    moves = strategy.moves_of(network)
    weights = drawn(moves, 1)
    singles = [
        changed(moves.identity, slot, i) for slot, ops in enumerate(moves.candidates) for i in range(1, len(ops))
    ]
    for number, choice in enumerate(singles):
        strategy.tell(Proposal(-1 - number, network, moves.apply(choice)), Measurement(-total(weights, choice), 0.0))
    found = [moves.choice(each.network) for each in strategy.ask(4)]
    ordered = sorted(moves.all(), key=lambda choice: total(weights, choice))
    assert found[0] == ordered[0]
    assert len(set(found)) == 4
    assert not set(found) <= set(ordered[:4])  # the others are the process's and the policy's


def test_from_an_input_over_the_budget_changes_are_measured_together() -> None:
    network, budget = ladder([3, 4, 4, 3, 4, 3]), Budget.parse({"macs": "0.6x"})
    strategy = KnapsackStrategy(Task((network,), find_rule("nat"), budget, 0), KnapsackSettings())
    [moves] = strategy.moves
    assert not moves.admits(moves.identity)
    proposals = strategy.ask(8)
    assert proposals
    for each in proposals:
        moves.verify(each.network)


def test_of_many_single_changes_as_many_are_measured_as_there_is_time_for() -> None:
    network = random_darts(np.random.default_rng(1))
    task = Task((network,), find_rule("nat++"), Budget.parse({"macs": "1.0x"}), 0, evaluations=20)
    strategy = KnapsackStrategy(task, KnapsackSettings())
    for each in strategy.ask(100):
        strategy.tell(each, Measurement(-1.0, 0.0))
    assert strategy.number == 10
    assert len(strategy.ask(10)) == 10


def test_it_waits_until_the_single_changes_are_told() -> None:
    strategy = KnapsackStrategy(Task((ladder([3, 1, 4, 0, 3, 1]),), find_rule("nat"), Budget(), 0), KnapsackSettings())
    singles = strategy.ask(100)
    assert strategy.ask(1) == []
    for each in singles:
        strategy.tell(each, None)
    assert strategy.ask(1)
