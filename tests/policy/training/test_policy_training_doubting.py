"""A critic doubts a search space, or a task, that it has not learned as much as leaving out those that it has shows it
should."""

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
from nat_plugin.policy.training import doubting
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


def test_the_most_promising_of_many_is_asked_about() -> None:
    scores = np.arange(1000.0)
    wrong = Expectation(-scores, np.ones((1000, 1)), 0.0)
    _, better = choices(wrong, scores, np.arange(750, 1000), np.random.default_rng(0))
    assert better.mean() < 0.05, "a random network would be better than one of the best quarter in an eighth"


class WrongAtTheTop:
    """A critic that ranks the networks of a task right, but for the quarter that it thinks best."""

    def __init__(self, scores: np.ndarray) -> None:
        self.mean = scores.copy()
        best = np.argsort(-scores)[: len(scores) // 4]
        self.mean[best] = self.mean[best][::-1]

    def expect(self, graphs: Sequence[object]) -> Expectation:
        return Expectation(self.mean, np.eye(len(graphs)), 0.01)


def test_any_network_of_a_task_is_an_input_not_those_alone_that_the_critic_thinks_best() -> None:
    scores = np.random.default_rng(0).normal(size=400)
    critic, graphs = WrongAtTheTop(scores), [None] * 400
    tasks = [MeasuredTask(name, graphs, scores) for name in "ab"]  # type: ignore[arg-type]
    said, better = choices(critic.expect(graphs), scores, np.argsort(-critic.mean)[:100], np.random.default_rng(0))
    assert inflation(said, better) == MOST
    found = learned_doubt({"one": tasks}, lambda _: critic, lambda _: critic, np.random.default_rng(0))  # type: ignore[arg-type, return-value]
    assert found.within < MOST / 2


class Measured:
    """Tasks on the same networks: the more convolutions the better, or the worse."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        found = {key(each): canonical(each) for each in (random_ladder(rng) for _ in range(160))}
        networks = list(found.values())
        self.graphs = [build_graph(each) for each in networks]
        self.convolutions = np.array([sum(str(op).startswith("conv") for op in each.ops) for each in networks], float)

    def task(self, number: int, sign: float) -> MeasuredTask:
        return MeasuredTask(str(number), self.graphs, sign * self.convolutions)

    def fit(self, tasks: Sequence[MeasuredTask]) -> Critic:
        critic = new_critic(SMALL, 0, CPU)
        CriticTraining(critic, tasks, CriticLearning(steps=80, batch=64), 0).run()
        return critic


@pytest.fixture(scope="module")
def measured() -> Measured:
    return Measured()


def test_spaces_that_agree_leave_less_doubt_than_spaces_that_do_not(measured: Measured) -> None:
    def doubt(*signs: float) -> float:
        spaces = {str(n): [measured.task(n, sign)] for n, sign in enumerate(signs)}
        return learned_doubt(spaces, measured.fit, measured.fit, np.random.default_rng(0)).doubt

    assert doubt(1, 1) < 2 < doubt(1, -1)


def test_tasks_of_a_space_that_agree_leave_less_doubt_than_tasks_that_do_not(
    measured: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doubting, "TOLD", 50)

    def within(*signs: float) -> Familiar:
        tasks = [measured.task(n, sign) for n, sign in enumerate(signs)]
        return learned_doubt({"space": tasks}, measured.fit, measured.fit, np.random.default_rng(0))

    agreed, split = within(1, 1, 1), within(1, 1, -1)
    assert 1 <= agreed.within < 1.5 < split.within
    assert split.doubt >= split.within


def test_with_one_space_nothing_can_be_left_out() -> None:
    def fit(tasks: Sequence[MeasuredTask]) -> Critic:
        raise AssertionError(tasks)

    assert learned_doubt({"one": []}, fit, fit, np.random.default_rng(0)) == Familiar(frozenset({"one"}), MOST)


def test_deviations_are_larger_in_a_space_that_it_does_not_know() -> None:
    rng = np.random.default_rng(0)
    ladder, darts = random_ladder(rng), random_darts(rng)
    assert space_name(ladder) == space_name(random_ladder(rng)) != space_name(darts)
    critic = new_critic(SMALL, 0, CPU)
    for network in (ladder, darts):
        moves = Moves(network, find_rule("nat"))
        some = [moves.identity, moves.sample(rng), moves.sample(rng)]
        critic.familiar = Familiar(frozenset({space_name(ladder)}), 3.0, 1.5)
        doubted = Expecting(critic).of(moves, some)
        critic.familiar = Familiar()
        trusted = Expecting(critic).of(moves, some)
        assert (doubted.mean == trusted.mean).all()
        factor = 1.0 if network is ladder else 3.0
        assert np.allclose(doubted.features, factor * trusted.features)
