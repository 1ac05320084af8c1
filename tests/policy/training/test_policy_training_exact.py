"""Learning from all candidates at once: the shares are exact, the best within a limit is found."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from policy.samples import ladder, random_darts

from nat_plugin.ir import Budget, Choice, Moves, find_rule
from nat_plugin.policy.apply import apply_policy
from nat_plugin.policy.graphs import build_batch, build_graph
from nat_plugin.policy.network import PolicyConfig, new_policy
from nat_plugin.policy.optimizers import PolicySteps
from nat_plugin.policy.training.exact import exact_step, log_shares

NAT = find_rule("nat")


def test_shares_are_the_probabilities_among_the_candidates() -> None:
    """Of inputs that have different numbers of slots."""
    rng = np.random.default_rng(0)
    moves = [Moves(ladder([3] * 6), NAT), Moves(random_darts(rng), NAT)]
    batch = build_batch([build_graph(each.network, each) for each in moves])
    policy = new_policy(PolicyConfig(hidden=8), 0, torch.device("cpu"))
    choices = [np.array([each.sample(rng) for _ in range(5)]) for each in moves]
    with torch.no_grad():
        scores = policy(batch)
        log, owner = log_shares(scores, batch, choices)
    assert owner.tolist() == [0] * 5 + [1] * 5
    for graph, choice in enumerate(choices):
        parts = torch.split(scores[batch.first[graph] : batch.first[graph + 1]], batch.sizes[graph].tolist())
        sums = torch.stack([sum(part[at] for part, at in zip(parts, each, strict=True)) for each in choice.tolist()])
        assert log[owner == graph].numpy() == pytest.approx(torch.log_softmax(sums, 0).numpy(), abs=1e-5)


@pytest.mark.parametrize("limit", [{"macs": "0.7x"}, {"params": "0.6x", "macs": "0.9x"}])
def test_the_best_within_a_limit_is_found(limit: dict[str, object], device: torch.device) -> None:
    budget, share = Budget.parse(limit), np.array([1.0, 1.5, 0.7, 1.2, 0.6, 1.6])
    networks = [ladder([3] * 6), ladder([3, 3, 3, 3, 2, 3]), ladder([2, 3, 3, 3, 3, 3])]
    moves = [Moves(network, NAT, budget.resolve(network)) for network in networks]
    batch = build_batch([build_graph(each.network, each) for each in moves], device)
    policy = new_policy(PolicyConfig(hidden=16), 0, device)
    optimizer = torch.optim.Adam(policy.parameters(), 2e-2)

    def worth(each: Moves, choice: Choice) -> float:
        return float(share @ each.costs[np.arange(6), list(choice), 1]) / 1e5

    every = [list(each.all()) for each in moves]
    choices = [np.array(each) for each in every]
    gains = [np.array([worth(own, choice) for choice in each]) for own, each in zip(moves, every, strict=True)]
    reports = [
        exact_step(PolicySteps(policy, optimizer), batch, choices, gains, 0.5 * 0.05 ** (step / 60))
        for step in range(60)
    ]
    assert reports[-1]["regret"] < 0.1 * reports[0]["regret"]
    assert reports[-1]["entropy"] < reports[0]["entropy"]
    for own, network, known in zip(moves, apply_policy(moves, policy), gains, strict=True):
        assert worth(own, own.choice(network)) > 0.95 * known.max()
