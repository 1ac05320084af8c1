"""The predictor knows near from far and good from bad; the search with it beats the others at few evaluations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy.samples import ladder, random_darts, random_ladder
from search.landscapes import landscape, run

from nat_plugin.ir import Budget, Choice, Moves, Network, find_rule
from nat_plugin.policy.ranks import normal_ranks
from nat_plugin.search.base import Measurement, Strategy, Task
from nat_plugin.search.hill_climb import HillClimbStrategy
from nat_plugin.search.neighbourhood import changed, projection
from nat_plugin.search.random_search import RandomStrategy
from nat_plugin.search.surrogate.acquisition import Acquisition, AcquisitionSettings
from nat_plugin.search.surrogate.gaussian_process import (
    LENGTHS,
    NOISES,
    ChoiceSpace,
    GaussianProcess,
    Kernel,
    Points,
    expected_improvement,
    likeliest,
)
from nat_plugin.search.surrogate.observations import Observation, Observations
from nat_plugin.search.surrogate.strategy import SurrogateSettings, SurrogateStrategy
from nat_plugin.settings import Settings

NAT, NAT_PLUS = find_rule("nat"), find_rule("nat++")


def squared(rows: np.ndarray) -> float:
    return float(((rows[0] - rows[1]) ** 2).sum())


def test_the_distance_is_the_sum_over_slots_of_that_between_ops() -> None:
    moves = Moves(random_darts(np.random.default_rng(0)), NAT_PLUS)
    space, rng = ChoiceSpace([moves]), np.random.default_rng(1)
    for _ in range(20):
        one, other = moves.sample(rng), moves.sample(rng)
        parts = [squared(space.rows(0, [one, changed(one, slot, index)])) for slot, index in enumerate(other)]
        assert squared(space.rows(0, [one, other])) == pytest.approx(sum(parts))
        assert all((part > 0.4) == (a != b) for part, a, b in zip(parts, one, other, strict=True))
    sizes = [len(options) for options in moves.candidates]
    for slot, size in enumerate(sizes):
        pairs = [(i, j) for j in range(size) for i in range(j)]
        apart = [squared(space.rows(0, [changed(moves.identity, slot, each) for each in pair])) for pair in pairs]
        assert np.mean(apart) == pytest.approx(1)


def test_similar_ops_are_near() -> None:
    moves = Moves(random_darts(np.random.default_rng(0)), NAT_PLUS)
    space = ChoiceSpace([moves])
    found = 0
    for slot, options in enumerate(moves.candidates):
        at = {str(op): changed(moves.identity, slot, index) for index, op in enumerate(options)}
        if {"sep_conv_3x3", "dil_conv_3x3", "null"} <= at.keys():
            near = squared(space.rows(0, [at["sep_conv_3x3"], at["dil_conv_3x3"]]))
            assert near < squared(space.rows(0, [at["sep_conv_3x3"], at["null"]]))
            found += 1
    assert found


def test_networks_of_several_inputs_are_in_one_space() -> None:
    one, other = ladder([3, 3, 3, 3, 3, 3]), ladder([3, 4, 3, 3, 1, 3])
    short = ladder([3, 3, 3], [(0, 1), (0, 2), (1, 2)])
    moves = [Moves(network, NAT) for network in (one, other, short)]
    space = ChoiceSpace(moves)
    target = ladder([3, 1, 3, 3, 1, 3])  # of both
    rows = [space.rows(number, [moves[number].choice(target)])[0] for number in (0, 1)]
    assert squared(np.stack(rows)) == pytest.approx(0)
    apart = squared(np.stack([space.rows(n, [moves[n].identity])[0] for n in (0, 1)]))
    assert apart > 0.8
    assert space.rows(2, [moves[2].identity]).shape == (1, space.width)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40))
def test_ranks_keep_the_order_whatever_the_values(values: list[float]) -> None:
    ranks = normal_ranks(np.array(values))
    assert np.isfinite(ranks).all()
    for a, x in zip(values, ranks, strict=True):
        for b, y in zip(values, ranks, strict=True):
            assert (a < b) == (x < y)
    assert abs(ranks).max() < 3


@given(st.floats(-5, 5), st.floats(0, 5), st.floats(-5, 5))
def test_improvement_is_expected_of_what_is_better_or_uncertain(mean: float, deviation: float, best: float) -> None:
    found = expected_improvement(
        np.array([mean, mean + 0.1, mean]), np.array([deviation, deviation, deviation + 0.1]), best
    )
    assert found[0] >= max(0.0, mean - best) - 1e-6
    assert found[1] >= found[0] - 1e-9
    assert found[2] >= found[0] - 1e-9


def test_the_predictor_learns_a_landscape_and_is_surer_where_it_was() -> None:
    network = random_darts(np.random.default_rng(0))
    moves, score, rng = Moves(network, NAT_PLUS), landscape(network, NAT_PLUS, 0), np.random.default_rng(1)
    choices = [moves.sample(rng) for _ in range(160)]
    rows = ChoiceSpace([moves]).rows(0, choices)
    values = normal_ranks(np.array([score(moves.apply(choice)) for choice in choices]))
    points, told, names = Points(rows, np.zeros((160, 0))), Points(rows[:120], np.zeros((120, 0))), range(120)
    kernels = [Kernel(length, noise) for length in LENGTHS for noise in NOISES]
    best = likeliest(told, ((kernel, values[:120], 0.0) for kernel in kernels))
    posteriors = []
    for kernel in kernels:
        process = GaussianProcess(kernel)
        process.hold(names, lambda first: told.part(first, 120))
        posteriors.append(process.fit(values[:120]))
    posterior = posteriors[best]
    mean, deviation = posterior.distribution(points)
    assert np.corrcoef(mean[120:], values[120:])[0, 1] > 0.6
    assert deviation[:120].max() < deviation[120:].min()
    np.testing.assert_allclose(posterior.mean(points), mean)
    np.testing.assert_allclose(posterior.own_mean(), mean[:120])
    assert posterior.log_likelihood == max(other.log_likelihood for other in posteriors)


def test_better_than_random_search_and_no_worse_than_hill_climbing_at_sixty_evaluations() -> None:
    """In the mean of three landscapes: 0.97 to 1.2 times what climbing gains, with ten seeds."""
    gains: dict[str, float] = {"surrogate": 0.0, "hill_climb": 0.0, "random": 0.0}
    for seed in range(3):
        network = random_darts(np.random.default_rng(seed))
        score = landscape(network, NAT_PLUS, seed)
        task = Task((network,), NAT_PLUS, Budget.parse({"macs": "1.0x"}), seed)
        every: dict[str, Strategy] = {
            "surrogate": SurrogateStrategy(task, SurrogateSettings()),
            "hill_climb": HillClimbStrategy(task, Settings()),
            "random": RandomStrategy(task, Settings()),
        }
        for name, strategy in every.items():
            gains[name] += run(strategy, score, 60, 1) / 3
    assert gains["surrogate"] > 0.9 * gains["hill_climb"]
    assert gains["surrogate"] > gains["random"] + 4


def test_what_was_measured_of_one_input_serves_the_others() -> None:
    """Gain for convolutions that become a skip on the first and last edge, loss elsewhere: with one measurement of
    each of 40 inputs the second proposals are far better than the first."""

    def score(network: Network) -> float:
        texts = list(map(str, network.ops))
        return sum(texts[edge] == "skip" for edge in (0, 5)) - 0.5 * sum(t in ("skip", "null") for t in texts[1:5])

    rng = np.random.default_rng(0)
    inputs = tuple(dict.fromkeys(random_ladder(rng) for _ in range(40)))
    strategy = SurrogateStrategy(Task(inputs, NAT, Budget()), SurrogateSettings())
    means = []
    for _ in range(3):
        proposals = strategy.ask(len(inputs))
        assert {proposal.source for proposal in proposals} == set(inputs)
        gains = [score(proposal.network) - score(proposal.source) for proposal in proposals]
        for proposal, gain in zip(proposals, gains, strict=True):
            strategy.tell(proposal, Measurement(score(proposal.source) + gain, score(proposal.source)))
        means.append(float(np.mean(gains)))
    assert means[1] > means[0] + 0.5


def test_several_at_once_are_not_all_in_one_corner() -> None:
    network = random_darts(np.random.default_rng(0))
    moves, score = Moves(network, NAT_PLUS), landscape(network, NAT_PLUS, 0)
    strategy = SurrogateStrategy(Task((network,), NAT_PLUS, Budget()), SurrogateSettings())
    run(strategy, score, 40, 4)
    choices: list[Choice] = [moves.choice(proposal.network) for proposal in strategy.ask(12)]
    assert len(set(choices)) == 12
    slots = {slot for choice in choices for slot, (a, b) in enumerate(zip(choice, choices[0], strict=True)) if a != b}
    assert len(slots) >= 4


def test_scores_that_are_all_equal_or_far_apart_do_no_harm() -> None:
    network = ladder([3, 2, 4, 3, 1, 3])
    for scale in (0.0, 1e-12, 1e12):
        strategy = SurrogateStrategy(Task((network,), NAT, Budget()), SurrogateSettings(largest=10))
        for number in range(25):
            [proposal] = strategy.ask(1)
            strategy.tell(proposal, Measurement(scale * np.sin(number), 0.0))
        assert len(strategy.finalists(network, 30)) == 25


def test_of_an_input_over_the_budget_the_least_losses_are_the_best_known() -> None:
    network = random_darts(np.random.default_rng(0))
    moves = Moves(network, NAT, Budget.parse({"macs": "0.6x"}).resolve(network))
    rng, observations = np.random.default_rng(1), Observations([moves, Moves(network, NAT)])
    choices = list(dict.fromkeys(moves.sample(rng) for _ in range(5)))
    for loss, choice in enumerate(choices, start=1):
        observations.add(Observation(0, choice, -float(loss), 0.0))
        observations.add(Observation(1, choice, -float(loss), 0.0))
    assert observations.best(0, 3) == choices[:3]
    assert observations.best(1, 3) == [], "the input itself is better"

    def results(source: int) -> list[Choice]:
        names = observations.training_set(source, 250).names
        return [observations.owner(name)[1] for name in names if observations.is_result(name, source)]

    assert results(0) == choices
    assert results(1) == [moves.identity, *choices]


def test_under_a_budget_ops_come_back_and_are_paid_for_elsewhere() -> None:
    network = random_darts(np.random.default_rng(0))
    moves = Moves(network, NAT, Budget.parse({"macs": "0.6x"}).resolve(network))
    acquisition = Acquisition([moves], np.random.default_rng(1), AcquisitionSettings(200, 250))
    best = projection(moves, moves.identity)
    acquisition.observations.add(Observation(0, best, -1.0, 0.0))
    found = list(acquisition.order(0, ()))
    assert all(moves.admits(choice) for choice in found)
    gone = [slot for slot, index in enumerate(best) if index != 0]
    back = [choice for choice in found if any(choice[slot] == 0 for slot in gone)]
    assert len(back) > 10
    assert best not in found
