"""Proposals without a measurement: worth their risk or not made, within the budget, and a reduction still reduces."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextlib import suppress

import numpy as np
import pytest
import torch
from policy.samples import random_darts, random_ladder

import nat_plugin as nat
from nat_plugin.errors import NATError
from nat_plugin.ir import Budget, Moves, Network, Role, canonical, cost, find_rule, key, live
from nat_plugin.ir.edge_costs import edge_costs
from nat_plugin.policy.critic import Critic, CriticConfig, Familiar, new_critic
from nat_plugin.policy.graphs import build_graph
from nat_plugin.policy.network import PolicyConfig, new_policy
from nat_plugin.policy.proposing import Suggestion, SuggestSettings, keeping_structure, suggest
from nat_plugin.policy.search_space import space_name
from nat_plugin.policy.training.learn_critic import CriticLearning, CriticTraining, MeasuredTask
from nat_plugin.search.neighbourhood import projection
from tests.networks import genotype_network

CPU, NAT = torch.device("cpu"), find_rule("nat")
POLICY = new_policy(PolicyConfig("graph", 16, 2), 0, CPU)


def convolutions(network: Network) -> float:
    return sum(str(op).startswith("conv") for op in canonical(network).ops)


def learned(worths: Sequence[Callable[[Network], float]]) -> Critic:
    """A critic of tasks on ladders, each with its worth of a network."""
    rng = np.random.default_rng(0)
    found = {key(each): canonical(each) for each in (random_ladder(rng) for _ in range(150))}
    networks = list(found.values())
    graphs = [build_graph(each) for each in networks]
    tasks = [
        MeasuredTask(str(number), graphs, np.array([worth(each) for each in networks]))
        for number, worth in enumerate(worths)
    ]
    critic = new_critic(CriticConfig(members=1, hidden=16, rounds=2, width=8), 0, CPU)
    CriticTraining(critic, tasks, CriticLearning(steps=120, batch=64), 0).run()
    return critic


@pytest.fixture(scope="module")
def agreed() -> Critic:
    """Every task is of the opinion that convolutions are bad."""
    return learned([lambda network: -convolutions(network)] * 3)


@pytest.fixture(scope="module")
def split() -> Critic:
    """Half of the tasks think so, half the contrary."""
    return learned([lambda network: -convolutions(network), convolutions] * 2)


def ladders(count: int) -> list[Moves]:
    rng = np.random.default_rng(1)
    return [Moves(random_ladder(rng), NAT) for _ in range(count)]


def limited(count: int) -> list[Moves]:
    """Of so many, those of which something is within 0.9x of the MACs."""
    budget, found = Budget.parse({"macs": "0.9x"}), []
    for each in ladders(count):
        with suppress(NATError):
            found.append(Moves(each.network, NAT, budget.resolve(each.network)))
    return found


def test_where_tasks_agree_it_moves_and_is_right(agreed: Critic) -> None:
    moves = ladders(60)
    found = suggest(moves, POLICY, agreed, SuggestSettings(samples=8))
    moved = [(each, one) for each, one in zip(moves, found, strict=True) if not one.kept]
    assert len(moved) > 30
    right = [convolutions(one.network) < convolutions(each.network) for each, one in moved]
    assert np.mean(right) > 0.9
    assert np.mean([one.probability for _, one in moved]) > 0.7


def test_where_tasks_differ_the_input_stays(split: Critic, agreed: Critic) -> None:
    moves = ladders(60)
    doubted = [one.kept for one in suggest(moves, POLICY, split, SuggestSettings(samples=8))]
    trusted = [one.kept for one in suggest(moves, POLICY, agreed, SuggestSettings(samples=8))]
    assert np.mean(doubted) > 0.5 > np.mean(trusted)


def test_what_is_kept_is_the_input_itself(split: Critic) -> None:
    for each, one in zip(ladders(30), suggest(ladders(30), POLICY, split), strict=True):
        assert one.kept == (one.network == each.network)


def test_an_input_over_the_budget_does_not_stay(split: Critic) -> None:
    moves = limited(40)
    assert len(moves) > 10
    for each, one in zip(moves, suggest(moves, POLICY, split, SuggestSettings(samples=4)), strict=True):
        each.verify(one.network)
        assert not one.kept
        assert cost(one.network).macs <= 0.9 * cost(each.network).macs


def test_in_a_space_that_it_does_not_know_an_input_over_the_budget_changes_as_far_as_it_has_to(agreed: Critic) -> None:
    unknown = copy.deepcopy(agreed)
    unknown.familiar = Familiar(frozenset({"elsewhere"}), doubt=8.0)
    moves = limited(40)
    for each, one in zip(moves, suggest(moves, POLICY, unknown, SuggestSettings(samples=4)), strict=True):
        assert each.choice(one.network) == projection(each, each.identity)
        assert not one.kept


def test_there_a_cell_that_reduces_keeps_half_of_the_operations_that_do_where_a_limit_lets_it(agreed: Critic) -> None:
    unknown = copy.deepcopy(agreed)
    unknown.familiar = Familiar(frozenset({"elsewhere"}), doubt=8.0)
    rng, budget = np.random.default_rng(3), Budget.parse({"macs": "0.9x"})
    for network in (random_darts(rng) for _ in range(8)):
        moves = Moves(network, NAT, budget.resolve(network))
        [one] = suggest([moves], POLICY, unknown)
        after = reducing(one.network)
        assert all(2 * after[name] >= count for name, count in reducing(network).items())


def test_what_is_chosen_as_the_best_of_many_is_said_to_be_less_likely_better(agreed: Critic) -> None:
    """The choice itself is the same."""
    moves, less = ladders(20), copy.deepcopy(agreed)
    names = frozenset(space_name(each.network) for each in moves)
    less.familiar = Familiar(names, within=2.0)
    plain, sober = suggest(moves, POLICY, agreed), suggest(moves, POLICY, less)
    assert [one.network for one in plain] == [one.network for one in sober]
    moved = [(a, b) for a, b in zip(plain, sober, strict=True) if not a.kept]
    assert len(moved) > 10
    assert all(0.5 < b.probability < a.probability for a, b in moved)
    assert all((a.gain, a.deviation) == (b.gain, b.deviation) for a, b in moved)


def test_what_becomes_of_one_does_not_depend_on_the_others(agreed: Critic) -> None:
    def told(found: list[Suggestion]) -> list[str]:
        return [str(one.network.ops) for one in found]

    whole = told(suggest(ladders(12), POLICY, agreed, SuggestSettings(samples=4)))
    alone = [told(suggest([each], POLICY, agreed, SuggestSettings(samples=4)))[0] for each in ladders(12)]
    assert whole == alone


def test_the_proposals_of_many_are_judged_together(agreed: Critic, monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[int] = []
    expect = agreed.expect
    monkeypatch.setattr(agreed, "expect", lambda graphs: judged.append(len(graphs)) or expect(graphs))
    suggest(ladders(20), POLICY, agreed)
    assert len(judged) == 1
    assert judged[0] > 20


def test_a_cell_that_reduces_keeps_half_of_the_operations_that_do(agreed: Critic) -> None:
    rng = np.random.default_rng(3)
    moves = [Moves(random_darts(rng), NAT) for _ in range(8)]
    for each, one in zip(moves, suggest(moves, POLICY, agreed, SuggestSettings(samples=16, caution=0.0)), strict=True):
        before, after = reducing(each.network), reducing(one.network)
        assert all(2 * after[name] >= count for name, count in before.items())


@pytest.mark.parametrize(("text", "is_free"), [("64-41414-3_33_333", True), ("DARTS_V2", False)])
def test_a_cell_that_also_stands_where_nothing_is_reduced_is_free(text: str, is_free: bool) -> None:
    """The one cell of TransNAS-Bench-101 stands at both strides, the second one of DARTS at one."""
    moves = Moves(nat.read(text).network, NAT)
    skips = tuple(
        next((at for at, op in enumerate(ops) if op.role is not Role.OPERATION and not op.is_null), 0)
        for ops in moves.candidates
    )
    assert moves.admits(skips)
    assert (keeping_structure(moves, [skips]) == [skips]) == is_free


def reducing(network: Network) -> dict[str, int]:
    """By cell, how many live operations halve the resolution."""
    size = edge_costs(network)
    return {
        name: sum(
            alive and edge.op.role is Role.OPERATION and size.sites(name, edge.source, edge.target)[0].stride > 1
            for edge, alive in zip(cell.edges, live(cell).edges, strict=True)
        )
        for name, cell in network.cells
    }


@pytest.mark.parametrize("limit", ["0.9x", "0.6x", "0.5x"])
def test_what_a_limit_forces_in_a_space_that_is_not_known_leaves_out_no_part_of_an_output(limit: str) -> None:
    """DARTS_V2 under rules ``nat``: the nearest within 0.6x would leave out a node that the output joins."""
    network = genotype_network("DARTS_V2")
    moves = Moves(network, NAT, Budget.parse({"macs": limit}).resolve(network))
    critic = new_critic(CriticConfig(members=1, hidden=8, rounds=1, width=4), 0, CPU)
    critic.familiar = Familiar(frozenset({"another space"}), 8.0, 1.0)
    [found] = suggest([moves], POLICY, critic)
    assert not found.kept
    before, after = (canonical(each).by_name for each in (network, found.network))
    assert {name: cell.output for name, cell in before.items()} == {name: each.output for name, each in after.items()}
