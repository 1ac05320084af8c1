"""A search that starts from a critic: its expectations lead, and are let go of where measurements say otherwise."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from policy.samples import random_ladder

from nat_plugin.ir import Budget, Moves, Network, canonical, find_rule, key
from nat_plugin.policy.critic import Critic, CriticConfig, Familiar, new_critic
from nat_plugin.policy.critic_files import saved_critic
from nat_plugin.policy.files import save_policy
from nat_plugin.policy.graphs import build_graph
from nat_plugin.policy.network import PolicyConfig, new_policy
from nat_plugin.policy.training.learn_critic import CriticLearning, CriticTraining, MeasuredTask
from nat_plugin.search.base import Measurement, Task
from nat_plugin.search.nat import start
from nat_plugin.search.nat.critic_prior import CriticPrior
from nat_plugin.search.nat.settings import NATSettings
from nat_plugin.search.nat.strategy import NATStrategy

CPU, RULE = torch.device("cpu"), find_rule("nat")


def worth(network: Network) -> float:
    values = {"null": 0.0, "skip": -1.0, "conv_1x1": 1.0, "conv_3x3": 2.0, "avg_pool_3x3": -2.0}
    return sum(values[str(op)] for op in canonical(network).ops)


@pytest.fixture(scope="module")
def critic() -> Critic:
    rng = np.random.default_rng(0)
    found = {key(each): canonical(each) for each in (random_ladder(rng) for _ in range(200))}
    networks = list(found.values())
    graphs = [build_graph(each) for each in networks]
    scores = np.array([worth(each) for each in networks])
    made = new_critic(CriticConfig(members=1, hidden=16, rounds=2, width=8), 0, CPU)
    CriticTraining(made, [MeasuredTask("one", graphs, scores)], CriticLearning(steps=150, batch=64), 0).run()
    return made


@pytest.fixture
def policy(critic: Critic, tmp_path: Path) -> str:
    return policy_file(critic, tmp_path)


def policy_file(critic: Critic, folder: Path) -> str:
    path = folder / "p.safetensors"
    save_policy(new_policy(PolicyConfig(hidden=8, rounds=1), 0, CPU), path, {}, saved_critic(critic))
    return str(path)


def searched(policy: str | None, queries: int, sign: float, seed: int, **settings: Any) -> tuple[NATStrategy, float]:
    """A search of so many measurements, and the best gain."""
    source = random_ladder(np.random.default_rng(seed))
    strategy = NATStrategy(Task((source,), RULE, Budget(), seed, queries), NATSettings(policy=policy, **settings))
    best = 0.0
    for _ in range(queries):
        for proposal in strategy.ask(1):
            score = sign * worth(proposal.network)
            strategy.tell(proposal, Measurement(score, sign * worth(source)))
            best = max(best, score - sign * worth(source))
    return strategy, best


def gained(policy: str | None, queries: int, sign: float, seed: int) -> float:
    """Of the best gain that there is, after so many measurements."""
    strategy, best = searched(policy, queries, sign, seed)
    [source] = strategy.task.inputs
    most = max(sign * (worth(Moves(source, RULE).apply(each)) - worth(source)) for each in Moves(source, RULE).all())
    return best / most if most > 0 else 1.0


def test_in_a_space_that_the_critic_never_saw_its_first_proposals_are_single_changes(
    critic: Critic, tmp_path: Path
) -> None:
    source = random_ladder(np.random.default_rng(3))
    unknown = copy.deepcopy(critic)
    unknown.familiar = Familiar(frozenset({"another space"}), doubt=8.0)
    for each, sure in ((critic, True), (unknown, False)):
        assert CriticPrior(each, [Moves(source, RULE)]).sure is sure
    path = policy_file(unknown, tmp_path)
    strategy = NATStrategy(Task((source,), RULE, Budget(), 0, 10), NATSettings(policy=path))
    for _ in range(2):
        [proposal] = strategy.ask(1)
        changed = sum(a != b for a, b in zip(proposal.network.ops, source.ops, strict=True))
        assert changed == 1
        strategy.tell(proposal, Measurement(worth(proposal.network), worth(source)))


def test_its_first_proposals_are_nearly_the_best(policy: str) -> None:
    led = np.mean([gained(policy, 2, 1.0, seed) for seed in range(12)])
    alone = np.mean([gained(None, 2, 1.0, seed) for seed in range(12)])
    assert led > 0.8
    assert led > alone + 0.2


def test_a_critic_that_is_wrong_is_let_go_of(policy: str) -> None:
    misled = np.mean([gained(policy, 40, -1.0, seed) for seed in range(6)])
    assert misled > 0.9


def test_units_are_those_of_what_an_input_may_become(critic: Critic) -> None:
    moves = Moves(random_ladder(np.random.default_rng(1)), RULE)
    prior = CriticPrior(critic, [moves])
    rng = np.random.default_rng(2)
    choices = [moves.sample(rng) for _ in range(400)]
    mean, features = prior.mean(0, choices), prior.features(0, choices)
    spread = np.sqrt(mean.var() + ((features - features.mean(axis=0)) ** 2).sum(axis=1).mean())
    assert abs(mean.mean()) < 0.3
    assert 0.6 < spread < 1.3


def test_the_report_says_what_it_was_and_what_the_measurements_made_of_it(policy: str, critic: Critic) -> None:
    [said] = searched(policy, 0, 1.0, 0)[0].notes
    assert said.startswith(
        f"Prior: policy '{policy}', trained on what its file does not say; it has learned this search"
    )
    assert said.endswith(". Too little was measured to judge it.")
    [right], [wrong] = (searched(policy, 24, sign, 0)[0].notes for sign in (1.0, -1.0))
    assert right.endswith("The measurements agree with it: it was kept.")
    assert "dropped: the measurements are likelier without" in wrong
    [unused] = searched(policy, 4, 1.0, 0, trust=0)[0].notes
    assert unused.startswith("Prior: none (trust is 0); the search started from policy")


def test_without_a_policy_there_is_no_prior() -> None:
    assert searched(None, 4, 1.0, 0)[0].notes == ("Prior: none.",)


def test_cells_that_are_too_large_for_the_critic_are_searched_without_it(
    policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "MOST_EDGES", 5)
    strategy, best = searched(policy, 12, 1.0, 1)
    [said] = strategy.notes
    assert said == (
        f"Prior: none; policy '{policy}' was left out: these cells have 6 edges, more than the 5 up to which its "
        "critic is asked."
    )
    assert best == searched(None, 12, 1.0, 1)[1]


def test_an_expectation_does_not_depend_on_what_else_is_asked(critic: Critic) -> None:
    """So a search that is resumed, which has forgotten what it asked, goes on to the same bits."""
    moves = Moves(random_ladder(np.random.default_rng(1)), RULE)
    rng = np.random.default_rng(2)
    choices = [moves.sample(rng) for _ in range(60)]
    together, alone = CriticPrior(critic, [moves]), CriticPrior(critic, [moves])
    assert critic.real is torch.float32
    for what in ("mean", "features"):
        whole = getattr(together, what)(0, choices)
        for part in (slice(0, 1), slice(7, 20), slice(0, 60)):
            assert np.array_equal(getattr(alone, what)(0, choices[part]), whole[part])
    assert together.features(0, []).shape == (0, whole.shape[1])


def test_it_is_asked_once_for_a_network(policy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    expect = Critic.expect
    monkeypatch.setattr(Critic, "expect", lambda self, graphs: asked.append(len(graphs)) or expect(self, graphs))
    searched(policy, 20, 1.0, 3)
    [source] = searched(policy, 0, 1.0, 3)[0].task.inputs
    assert sum(asked) <= len({key(Moves(source, RULE).apply(each)) for each in Moves(source, RULE).all()}) * 3
