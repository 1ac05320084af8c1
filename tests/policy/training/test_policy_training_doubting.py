"""A critic doubts a search space that it has not learned as much as leaving out those that it has shows it should."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from policy.samples import random_darts, random_ladder
from scipy.special import ndtr

from nat_plugin.ir import Moves, canonical, find_rule, key
from nat_plugin.policy.critic import Critic, CriticConfig, Expectation, Familiar, new_critic
from nat_plugin.policy.expecting import Expecting
from nat_plugin.policy.graphs import build_graph
from nat_plugin.policy.search_space import space_name
from nat_plugin.policy.training.doubting import MOST, choices, inflation, learned_doubt
from nat_plugin.policy.training.learn_critic import CriticLearning, CriticTraining, MeasuredTask

CPU = torch.device("cpu")
SMALL = CriticConfig(members=1, hidden=8, rounds=1, width=4)


def test_deviations_grow_until_what_is_said_is_what_comes_true() -> None:
    sure = np.full(1000, 2.0)
    better = np.arange(1000) < 700
    assert ndtr(sure / inflation(sure, better)).mean() == pytest.approx(0.7, abs=1e-6)


@pytest.mark.parametrize(("share", "wanted"), [(0.99, 1.0), (0.5, MOST), (0.1, MOST)])
def test_doubt_has_a_least_and_a_most(share: float, wanted: float) -> None:
    assert inflation(np.full(1000, 2.0), np.arange(1000) < 1000 * share) == wanted


def test_inputs_are_good_ones_and_the_most_promising_of_many_is_asked_about() -> None:
    scores = np.arange(1000.0)
    wrong = Expectation(-scores, np.ones((1000, 1)), 0.0)
    _, better = choices(wrong, scores, np.random.default_rng(0))
    assert better.mean() < 0.05, "a random network would be better than one of the best quarter in an eighth"


def test_spaces_that_agree_leave_less_doubt_than_spaces_that_do_not() -> None:
    rng = np.random.default_rng(0)
    found = {key(each): canonical(each) for each in (random_ladder(rng) for _ in range(160))}
    networks = list(found.values())
    graphs = [build_graph(each) for each in networks]
    convolutions = np.array([sum(str(op).startswith("conv") for op in each.ops) for each in networks], float)

    def fit(tasks: Sequence[MeasuredTask]) -> Critic:
        critic = new_critic(SMALL, 0, CPU)
        CriticTraining(critic, tasks, CriticLearning(steps=80, batch=64), 0).run()
        return critic

    def doubt(*signs: float) -> float:
        spaces = {str(n): [MeasuredTask(str(n), graphs, sign * convolutions)] for n, sign in enumerate(signs)}
        return learned_doubt(spaces, fit, np.random.default_rng(0)).doubt

    assert doubt(1, 1) < 2 < doubt(1, -1)


def test_with_one_space_nothing_can_be_left_out() -> None:
    def fit(tasks: Sequence[MeasuredTask]) -> Critic:
        raise AssertionError(tasks)

    assert learned_doubt({"one": []}, fit, np.random.default_rng(0)) == Familiar(frozenset({"one"}), MOST)


def test_deviations_are_larger_in_a_space_that_it_does_not_know() -> None:
    rng = np.random.default_rng(0)
    ladder, darts = random_ladder(rng), random_darts(rng)
    assert space_name(ladder) == space_name(random_ladder(rng)) != space_name(darts)
    critic = new_critic(SMALL, 0, CPU)
    for network in (ladder, darts):
        moves = Moves(network, find_rule("nat"))
        some = [moves.identity, moves.sample(rng), moves.sample(rng)]
        critic.familiar = Familiar(frozenset({space_name(ladder)}), 3.0)
        doubted = Expecting(critic).of(moves, some)
        critic.familiar = Familiar()
        trusted = Expecting(critic).of(moves, some)
        assert (doubted.mean == trusted.mean).all()
        factor = 1.0 if network is ladder else 3.0
        assert np.allclose(doubted.features, factor * trusted.features)
