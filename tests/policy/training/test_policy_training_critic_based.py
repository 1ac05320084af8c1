"""Imagined rewards: samples follow the policy, what is not admitted teaches nothing, the optimum is found."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from policy.samples import ladder, random_ladder

from nat_plugin.ir import Budget, Moves, find_rule
from nat_plugin.policy.apply import apply_policy
from nat_plugin.policy.graphs import build_batch, build_graph
from nat_plugin.policy.network import PolicyConfig, new_policy
from nat_plugin.policy.optimizers import PolicySteps
from nat_plugin.policy.reinforce import Learning
from nat_plugin.policy.sampling import score_batch
from nat_plugin.policy.training.critic_based import SampleSettings, critic_based_step, draw_unmasked

NAT = find_rule("nat")


def test_choices_are_as_frequent_as_the_policy_says(device: torch.device) -> None:
    rng = np.random.default_rng(0)
    moves = [Moves(random_ladder(rng), NAT) for _ in range(3)]
    policy = new_policy(PolicyConfig(hidden=8), 1, device)
    batch = build_batch([build_graph(each.network, each) for each in moves], device)
    drawn = draw_unmasked(policy, batch, 20_000, rng)
    for choices, scores, sizes in zip(drawn, score_batch(policy, batch), batch.sizes, strict=True):
        ends = np.cumsum(sizes)
        for slot, (size, end) in enumerate(zip(sizes, ends, strict=True)):
            wanted = np.exp(scores[end - size : end])
            found = np.bincount(choices[:, slot], minlength=size) / len(choices)
            assert found == pytest.approx(wanted / wanted.sum(), abs=0.02)


def test_it_comes_near_the_best_that_is_admitted(device: torch.device) -> None:
    """The dearest op is worth most on every edge, under a limit on MACs that not all of them fit."""
    rng = np.random.default_rng(0)
    budget = Budget.parse({"macs": "0.7x"})
    networks = [ladder([3] * 6), ladder([3, 3, 3, 3, 2, 3]), ladder([2, 3, 3, 3, 3, 3])]
    moves = [Moves(network, NAT, budget.resolve(network)) for network in networks]
    batch = build_batch([build_graph(each.network, each) for each in moves], device)
    policy = new_policy(PolicyConfig(hidden=16), 0, device)
    optimizer = torch.optim.Adam(policy.parameters(), 1e-2)

    def worth(graph: int, choice: tuple[int, ...]) -> float:
        total = moves[graph].total(choice)
        return float("nan") if total is None or not moves[graph].admits(choice) else total[1] / 1e6

    def judge(graph: int, choices: np.ndarray) -> np.ndarray:
        return np.array([worth(graph, tuple(choice)) for choice in choices.tolist()])

    for step in range(60):
        report = critic_based_step(
            PolicySteps(policy, optimizer), batch, judge, Learning(), SampleSettings(16, 0.3 * (1 - step / 60)), rng
        )
        assert np.isfinite(report["entropy"])
    for graph, network in enumerate(apply_policy(moves, policy)):
        best = max(worth(graph, choice) for choice in moves[graph].all())
        assert worth(graph, moves[graph].choice(network)) > 0.65 * best


def test_where_nothing_is_admitted_nothing_breaks() -> None:
    moves = Moves(ladder([3] * 6), NAT)
    batch = build_batch([build_graph(moves.network, moves)])
    policy = new_policy(PolicyConfig(hidden=8), 0, torch.device("cpu"))
    optimizer = torch.optim.Adam(policy.parameters(), 1e-3)

    def judge(_graph: int, choices: np.ndarray) -> np.ndarray:
        return np.full(len(choices), np.nan)

    report = critic_based_step(
        PolicySteps(policy, optimizer), batch, judge, Learning(), SampleSettings(4, 0.1), np.random.default_rng(0)
    )
    assert report["gain"] == 0
    assert all(bool(torch.isfinite(parameter).all()) for parameter in policy.parameters())
