"""A critic of many tasks: what they share it expects of an unknown one, and where they differ it is unsure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from policy.samples import distinct_ladders
from scipy.stats import spearmanr

from nat_plugin.errors import NATError
from nat_plugin.ir import Network, canonical
from nat_plugin.policy.critic import Critic, CriticConfig, new_critic
from nat_plugin.policy.graphs import Graph, build_graph
from nat_plugin.policy.training.learn_critic import CriticLearning, CriticTraining, MeasuredTask

SMALL = CriticConfig(members=2, hidden=16, rounds=2, width=8)
FAST = CriticLearning(steps=150, batch=64)
CPU = torch.device("cpu")


def score(network: Network, pooling: float) -> float:
    """Convolutions are good on every task; of pooling tasks think what they like."""
    worth = {"null": 0.0, "skip": 0.5, "conv_1x1": 1.0, "conv_3x3": 2.0, "avg_pool_3x3": pooling}
    return sum(worth[str(op)] for op in canonical(network).ops)


def tasks(graphs: list[Graph], networks: list[Network]) -> list[MeasuredTask]:
    return [
        MeasuredTask(f"pooling {worth}", graphs, np.array([score(each, worth) for each in networks]))
        for worth in (-3.0, -1.0, 1.0, 3.0)
    ]


@pytest.fixture(scope="module")
def learned() -> Critic:
    networks = distinct_ladders(200, 0)
    critic = new_critic(SMALL, 0, CPU)
    CriticTraining(critic, tasks([build_graph(each) for each in networks], networks), FAST, 0).run()
    return critic


def test_it_expects_what_all_tasks_say(learned: Critic) -> None:
    networks = distinct_ladders(300, 1)[200:]
    found = learned.expect([build_graph(each) for each in networks])
    assert found.mean.shape == (100,)
    assert found.features.shape[0] == 100
    assert spearmanr(found.mean, [score(each, 0.0) for each in networks])[0] > 0.8


def test_it_is_unsure_where_tasks_differ(learned: Critic) -> None:
    """Deviations of gains: of what changes pooling against what changes convolutions only."""
    networks = distinct_ladders(400, 2)
    found = learned.expect([build_graph(each) for each in networks])
    pools = np.array([sum(str(op) == "avg_pool_3x3" for op in each.ops) for each in networks])
    rng = np.random.default_rng(0)
    source, target = rng.integers(0, len(networks), (2, 4000))
    _, deviation = found.gain(source, target)
    change = np.abs(pools[source] - pools[target])
    assert deviation[change >= 2].mean() > 1.5 * deviation[change == 0].mean()


def test_said_deviations_cover_a_task_that_was_left_out() -> None:
    networks = distinct_ladders(200, 3)
    graphs = [build_graph(each) for each in networks]
    every = tasks(graphs, networks)
    critic = new_critic(SMALL, 1, CPU)
    CriticTraining(critic, [every[0], every[1], every[3]], FAST, 1).run()
    found, truth = critic.expect(graphs), every[2].scores
    rng = np.random.default_rng(0)
    source, target = rng.integers(0, len(networks), (2, 4000))
    mean, deviation = found.gain(source, target)
    sure = mean > 1.65 * np.sqrt(deviation**2 + 2 * found.noise)
    assert sure.mean() > 0.05, "it dares to say something"
    assert (truth[target] > truth[source])[sure].mean() > 0.85


def test_the_same_seed_learns_the_same_and_a_stop_changes_nothing() -> None:
    networks = distinct_ladders(40, 4)
    known = tasks([build_graph(each) for each in networks], networks)
    learning = CriticLearning(steps=12, batch=16)

    def trained(stop: int | None) -> dict[str, torch.Tensor]:
        training = CriticTraining(new_critic(SMALL, 0, CPU), known, learning, 5)
        training.run(stop)
        if not training.done:
            again = CriticTraining(new_critic(SMALL, 9, CPU), known, learning, 8)
            again.restore(training.state())
            again.run()
            training = again
        return training.critic.state_dict()

    whole, stopped = trained(None), trained(5)
    assert all(torch.equal(whole[name], stopped[name]) for name in whole)


def test_what_it_expects_most_of_is_learned_more_often_and_a_stop_in_between_changes_nothing() -> None:
    networks = distinct_ladders(160, 4)
    graphs = [build_graph(each) for each in networks]
    scores = np.array([score(each, 1.0) for each in networks])
    known = [MeasuredTask("large", graphs, scores), MeasuredTask("small", graphs[:30], scores[:30])]
    learning = CriticLearning(steps=300, batch=8, lr=1e-2)
    config = CriticConfig(members=1, hidden=8, rounds=1, width=4)
    training = CriticTraining(new_critic(config, 0, CPU), known, learning, 5)
    training.run(200)
    before = training.critic.expect(graphs).mean
    training.run(20)
    state = training.state()
    ((member, task, best),) = state["favourites"]  # the small task has none
    assert (member, task) == (0, 0)
    assert set(best) == set(np.argsort(-before, kind="stable")[:16].tolist())
    again = CriticTraining(new_critic(config, 9, CPU), known, learning, 8)
    again.restore(state)
    for each in (training, again):
        each.run()
    resumed, whole = again.critic.state_dict(), training.critic.state_dict()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    even = CriticTraining(new_critic(config, 0, CPU), known, replace(learning, favourites=0.0), 5)
    even.run()
    assert even.state()["favourites"] == []
    assert any(not torch.equal(value, whole[name]) for name, value in even.critic.state_dict().items())


def test_what_proxies_tell_counts_where_they_are_known() -> None:
    """Scores that nothing in a graph tells: with the proxy they are ranked, without it they are not, and networks with
    and without it can be compared."""
    networks = distinct_ladders(120, 6)
    graphs, rng = [build_graph(each) for each in networks], np.random.default_rng(0)
    config = CriticConfig(members=1, hidden=8, rounds=1, width=4, proxies=("zico",))
    known = []
    for number in range(3):
        hidden = rng.normal(size=(len(graphs), 1))
        known.append(MeasuredTask(str(number), graphs, hidden[:, 0] + rng.normal(size=120) / 4, proxies=hidden))
    critic = new_critic(config, 0, CPU)
    CriticTraining(critic, known, CriticLearning(steps=60, batch=40, lr=2e-2), 0).run()
    unseen = rng.normal(size=(120, 1))
    told = critic.expect(graphs, unseen).mean
    assert spearmanr(told, unseen[:, 0])[0] > 0.9
    alone = critic.expect(graphs)
    assert abs(spearmanr(alone.mean, unseen[:, 0])[0]) < 0.4
    some = critic.expect(graphs, np.where(np.arange(120)[:, None] < 60, unseen, np.nan))
    assert np.allclose(some.mean, np.where(np.arange(120) < 60, told, alone.mean), atol=1e-5)


def test_without_measurements_it_says_so() -> None:
    with pytest.raises(NATError, match="two measured networks"):
        CriticTraining(new_critic(SMALL, 0, CPU), [MeasuredTask("empty", [], np.zeros(0))], FAST, 0)


@pytest.mark.parametrize("count", [2, 3])
def test_few_measurements_will_do(count: int) -> None:
    networks = distinct_ladders(count, 5)
    graphs = [build_graph(each) for each in networks]
    critic = new_critic(SMALL, 0, CPU)
    found = CriticTraining(critic, [MeasuredTask("few", graphs, np.arange(count, dtype=float))], FAST, 0).run(3)
    assert bool(torch.isfinite(found).all())
    assert np.isfinite(critic.expect(graphs).mean).all()
