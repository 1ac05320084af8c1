"""A search whose critic is told of proxies: of a few promising transformations, each scored once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from policy.samples import random_ladder

from nat_plugin.errors import NATError
from nat_plugin.evaluators.proxies.cache import Scored
from nat_plugin.ir import Budget, Network, find_rule
from nat_plugin.policy.critic import CriticConfig, new_critic
from nat_plugin.policy.critic_files import saved_critic
from nat_plugin.policy.files import save_policy
from nat_plugin.policy.input_proxies import REFERENCES
from nat_plugin.policy.network import PolicyConfig, new_policy
from nat_plugin.search.base import Measurement, Task
from nat_plugin.search.nat.settings import NATSettings
from nat_plugin.search.nat.strategy import NATStrategy

CPU, RULE = torch.device("cpu"), find_rule("nat")


def policy(folder: Path, *proxies: str) -> str:
    critic = new_critic(CriticConfig(members=1, hidden=8, rounds=1, width=4, proxies=proxies), 0, CPU)
    save_policy(
        new_policy(PolicyConfig(hidden=8, rounds=1), 0, CPU), folder / "p.safetensors", {}, saved_critic(critic)
    )
    return str(folder / "p.safetensors")


def test_few_are_scored_and_the_same_is_proposed_again(tmp_path: Path) -> None:
    source = random_ladder(np.random.default_rng(0))
    scored: list[str] = []

    def scoring(network: Network) -> Scored:
        found = Scored(network, lambda _: None)
        scored.append(found.name)
        return found

    def proposed(most: int) -> list[Network]:
        scored.clear()
        task = Task((source,), RULE, Budget(), 0, 3, scoring=scoring)
        strategy = NATStrategy(task, NATSettings(policy=policy(tmp_path, "macs", "naswot"), proxies=most))
        found = []
        for number in range(3):
            (proposal,) = strategy.ask(1)
            strategy.tell(proposal, Measurement(float(number), 0.0))
            found.append(proposal.network)
        return found

    first = proposed(5)
    assert 0 < len(set(scored)) <= 1 + 5 + REFERENCES
    assert proposed(5) == first
    proposed(0)
    assert not scored


def test_where_there_is_nothing_to_tell_or_nobody_to_be_told_one_line_says_so(tmp_path: Path) -> None:
    source = random_ladder(np.random.default_rng(0))
    task = Task((source,), RULE, Budget(), 0, 6)
    with pytest.raises(NATError, match=r"strategy\.proxies: they are for a policy whose critic"):
        NATStrategy(task, NATSettings(policy=None, proxies=5))
    with pytest.raises(NATError, match=r"strategy\.proxies: networks cannot be scored"):
        NATStrategy(task, NATSettings(policy=policy(tmp_path, "macs"), proxies=5))
    with pytest.raises(NATError, match="trained without proxies"):
        scoring = Task((source,), RULE, Budget(), 0, 6, scoring=lambda network: Scored(network, lambda _: None))
        NATStrategy(scoring, NATSettings(policy=policy(tmp_path), proxies=5))
