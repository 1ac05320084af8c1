"""A policy on new networks without evaluation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from policy.samples import random_darts, random_ladder

from nat_plugin.errors import NATError
from nat_plugin.ir import Budget, Moves, Network, find_rule
from nat_plugin.policy import apply
from nat_plugin.policy.network import PolicyConfig, new_policy
from tests.networks import networks

NAT = find_rule("nat")


@settings(max_examples=50)
@given(networks(), st.sampled_from(["nat", "nat++"]), st.sampled_from([{}, {"macs": "1.0x"}, {"params": "0.7x"}]),
       st.integers(0, 3))  # fmt: skip
def test_what_comes_out_is_legal_and_within_the_budget(
    network: Network, rule: str, budget: dict[str, object], samples: int
) -> None:
    limits = Budget.parse(budget)
    try:
        moves = Moves(network, find_rule(rule), limits.resolve(network))
    except NATError:
        assume(False)
    policy = new_policy(PolicyConfig(hidden=8), 0, torch.device("cpu"))
    [found] = apply.transform([network], find_rule(rule), limits, policy, samples)
    moves.verify(found)


def test_chunks_and_order_change_nothing(monkeypatch: pytest.MonkeyPatch, device: torch.device) -> None:
    rng = np.random.default_rng(0)
    found = [make(rng) for make in (random_darts, random_ladder) for _ in range(6)]
    policy = new_policy(PolicyConfig(), 0, device)
    whole = apply.transform(found, NAT, Budget(), policy)
    assert apply.transform(found, NAT, Budget(), policy) == whole
    monkeypatch.setattr(apply, "CHUNK", 5)
    assert apply.transform(found, NAT, Budget(), policy) == whole
    assert apply.transform(found[::-1], NAT, Budget(), policy) == whole[::-1]
    assert apply.transform([], NAT, Budget(), policy) == []


def test_samples_come_from_the_seed() -> None:
    network = random_darts(np.random.default_rng(0))
    policy = new_policy(PolicyConfig(), 0, torch.device("cpu"))
    budget = Budget.parse({"macs": "0.6x"})
    one, same = (apply.transform([network], NAT, budget, policy, 8, seed=1) for _ in range(2))
    assert one == same
