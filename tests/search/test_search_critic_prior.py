"""A search that starts from a critic: its expectations lead, and are let go of where measurements say otherwise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from policy.samples import random_ladder

from nat_plugin.ir import Budget, Moves, Network, canonical, find_rule, key
from nat_plugin.policy.critic import Critic, CriticConfig, new_critic
from nat_plugin.policy.critic_files import saved_critic
from nat_plugin.policy.files import save_policy
from nat_plugin.policy.graphs import build_graph
from nat_plugin.policy.network import PolicyConfig, new_policy
from nat_plugin.policy.training.learn_critic import CriticLearning, CriticTraining, MeasuredTask
from nat_plugin.search.base import Measurement, Task
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
    path = tmp_path / "p.safetensors"
    save_policy(new_policy(PolicyConfig(hidden=8, rounds=1), 0, CPU), path, {}, saved_critic(critic))
    return str(path)


def gained(policy: str | None, queries: int, sign: float, seed: int) -> float:
    """Of the best gain that there is, after so many measurements."""
    source = random_ladder(np.random.default_rng(seed))
    moves = Moves(source, RULE)
    most = max(sign * (worth(moves.apply(each)) - worth(source)) for each in moves.all())
    strategy = NATStrategy(Task((source,), RULE, Budget(), seed, queries), NATSettings(policy=policy))
    best = 0.0
    for _ in range(queries):
        for proposal in strategy.ask(1):
            score = sign * worth(proposal.network)
            strategy.tell(proposal, Measurement(score, sign * worth(source)))
            best = max(best, score - sign * worth(source))
    return best / most if most > 0 else 1.0


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
