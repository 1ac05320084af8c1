"""The gradient estimate is right: held against the exact gradient of the expected reward, by enumeration."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from policy.samples import ladder, random_ladder

from nat_plugin.ir import Budget, Moves, find_rule
from nat_plugin.policy.graphs import Batch, build_batch, build_graph
from nat_plugin.policy.network import PolicyConfig, new_policy
from nat_plugin.policy.reinforce import Episode, Learning, advantages, learn, surrogate
from nat_plugin.policy.sampling import Decisions, SampledChoice, draw, evaluate, gather_decisions, score_batch

NAT = find_rule("nat")
CPU = torch.device("cpu")
PLAIN = Learning(normalise="none")


def all_samples(moves: Moves) -> list[SampledChoice]:
    """Every choice that can be made, with what was open on the way."""
    found = []
    for choice in moves.all():
        walk, opened = moves.walk(), []
        for index in choice:
            opened.append(walk.open())
            walk.take(index)
        found.append(SampledChoice(choice, np.concatenate(opened), 0.0))
    return found


def world(budget: dict[str, object]) -> tuple[Batch, list[SampledChoice], np.ndarray, torch.Tensor]:
    """A cell of three edges (22 choices), a reward for each choice, some scores."""
    network = ladder([3, 1, 2], [(0, 1), (0, 2), (1, 2)])
    moves = Moves(network, NAT, Budget.parse(budget).resolve(network))
    batch = build_batch([build_graph(network, moves)])
    rng = np.random.default_rng(0)
    samples = all_samples(moves)
    scores = torch.tensor(rng.normal(size=int(batch.first[-1])), requires_grad=True)
    return batch, samples, rng.normal(size=len(samples)) + 3, scores


def exact_gradient(scores: torch.Tensor, decisions: Decisions, rewards: np.ndarray) -> torch.Tensor:
    expected = (evaluate(scores, decisions)[0].exp() * torch.from_numpy(rewards)).sum()
    return torch.autograd.grad(expected, scores)[0]


@pytest.mark.parametrize("budget", [{}, {"macs": "0.8x"}])
def test_probabilities_of_all_choices_add_up_to_one(budget: dict[str, object]) -> None:
    batch, samples, _, scores = world(budget)
    logs, _ = evaluate(scores, gather_decisions(batch, [(0, sample) for sample in samples], CPU))
    assert float(logs.exp().sum()) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("budget", [{}, {"macs": "0.8x"}])
def test_leave_one_out_over_all_pairs_gives_the_exact_gradient(budget: dict[str, object]) -> None:
    batch, samples, rewards, scores = world(budget)
    every = gather_decisions(batch, [(0, sample) for sample in samples], CPU)
    probabilities = evaluate(scores, every)[0].detach().exp()
    estimate = torch.zeros_like(scores)
    for a, b in itertools.product(range(len(samples)), repeat=2):
        pair = gather_decisions(batch, [(0, samples[a]), (0, samples[b])], CPU)
        values = torch.from_numpy(advantages(rewards[[a, b]], np.zeros(2, int), PLAIN))
        old = evaluate(scores, pair)[0].detach()
        loss, _ = surrogate(scores, pair, values, old, 0.0, 0.2)
        estimate -= probabilities[a] * probabilities[b] * torch.autograd.grad(loss, scores)[0]
    assert torch.allclose(estimate, exact_gradient(scores, every, rewards), atol=1e-12)


def test_many_samples_come_close_to_the_exact_gradient() -> None:
    """Within five standard errors, number by number, from 20,000 samples in groups of five."""
    batch, samples, rewards, scores = world({})
    network = ladder([3, 1, 2], [(0, 1), (0, 2), (1, 2)])
    moves = Moves(network, NAT)
    reward_of = {sample.choice: reward for sample, reward in zip(samples, rewards, strict=True)}
    rng = np.random.default_rng(0)
    exact = exact_gradient(scores, gather_decisions(batch, [(0, s) for s in samples], CPU), rewards)
    estimates = []
    for _ in range(40):
        drawn = draw(scores.detach().numpy(), batch.sizes[0], moves, rng, 500)
        gains = np.array([reward_of[sample.choice] for sample in drawn])
        values = torch.from_numpy(advantages(gains, np.arange(500) // 5, PLAIN))
        decisions = gather_decisions(batch, [(0, sample) for sample in drawn], CPU)
        old = torch.tensor([sample.log_probability for sample in drawn])
        estimates.append(-torch.autograd.grad(surrogate(scores, decisions, values, old, 0.0, 0.2)[0], scores)[0])
    whole = torch.stack(estimates)
    error = whole.std(0) / len(estimates) ** 0.5
    assert ((whole.mean(0) - exact).abs() <= 5 * error + 1e-9).all()
    assert float((whole.mean(0) - exact).norm() / exact.norm()) < 0.1


def test_advantages_leave_one_out() -> None:
    gains, graphs = np.array([1.0, 3.0, 8.0, 5.0]), np.array([7, 7, 7, 2])
    assert advantages(gains, graphs, PLAIN).tolist() == [1 - 5.5, 3 - 4.5, 8 - 2, 0]


def test_normalised_advantages_do_not_depend_on_the_scale_of_gains() -> None:
    rng = np.random.default_rng(0)
    gains, graphs = rng.normal(size=32), np.arange(32) // 8
    gains[:8] *= 1e3
    for normalise in ("source", "batch"):
        found = advantages(gains, graphs, Learning(normalise=normalise))
        assert np.allclose(found, advantages(1e4 * gains + 5, graphs, Learning(normalise=normalise)))
    spread = np.abs(advantages(gains, graphs, Learning(floor=0.0))).reshape(4, 8).mean(1)
    assert spread.max() / spread.min() < 2  # the first input does not drown the others
    assert (advantages(np.ones(8), np.zeros(8, int), Learning()) == 0).all()


def test_stale_samples_are_clipped() -> None:
    batch, samples, _, scores = world({})
    decisions = gather_decisions(batch, [(0, samples[0]), (0, samples[1])], CPU)
    now = evaluate(scores, decisions)[0].detach()
    loss, _ = surrogate(scores, decisions, torch.tensor([1.0, -1.0]), now - torch.tensor([1.0, -1.0]), 0.0, 0.2)
    assert torch.equal(torch.autograd.grad(loss, scores)[0], torch.zeros_like(scores))  # both have moved far enough
    loss, _ = surrogate(scores, decisions, torch.tensor([-1.0, 1.0]), now - torch.tensor([1.0, -1.0]), 0.0, 0.2)
    assert float(torch.autograd.grad(loss, scores)[0].abs().sum()) > 0


def test_entropy_alone_makes_the_policy_uniform(device: torch.device) -> None:
    rng = np.random.default_rng(0)
    network = random_ladder(rng)
    moves = Moves(network, NAT)
    policy = new_policy(PolicyConfig(hidden=16), 0, device)
    with torch.no_grad():
        policy.net.score[-1].weight.mul_(50)  # type: ignore[union-attr,index]
    optimizer = torch.optim.Adam(policy.parameters(), 1e-2)
    batch = build_batch([build_graph(network, moves)], device)
    report = {}
    for _ in range(60):
        [scores] = score_batch(policy, batch)
        drawn = draw(scores, batch.sizes[0], moves, rng, 4)
        report = learn(policy, optimizer, batch, [Episode(0, sample, 1.0) for sample in drawn], PLAIN, 1.0)
    uniform = sum(np.log(len(options)) for options in moves.candidates)
    assert 0.8 * uniform < report["entropy"] <= uniform + 1e-4
