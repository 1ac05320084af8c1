"""Choices from scores: only open candidates, with the log-probability that the device computes again."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from policy.samples import ladder, random_darts

from nat_plugin.errors import NATError
from nat_plugin.ir import Budget, Moves, Network, canonical, find_rule
from nat_plugin.policy.graphs import build_batch, build_graph
from nat_plugin.policy.sampling import (
    SampledChoice,
    draw,
    evaluate,
    gather_decisions,
    greedy,
    most_probable,
    most_probable_written,
)
from tests.networks import genotype_network, networks

NAT, NAT_PLUS = find_rule("nat"), find_rule("nat++")


def sizes_of(moves: Moves) -> np.ndarray:
    return np.array([len(options) for options in moves.candidates], np.int64)


def conditionals(scores: np.ndarray, moves: Moves, sample: SampledChoice) -> float:
    """The log-probability of a choice as a product of conditional ones, the plain way."""
    walk, start, total = moves.walk(), 0, 0.0
    for options, index in zip(moves.candidates, sample.choice, strict=True):
        opened = walk.open()
        part = np.where(opened, scores[start : start + len(options)], -np.inf)
        total += part[index] - np.log(np.exp(part - part.max()).sum()) - part.max()
        assert (sample.open[start : start + len(options)] == opened).all()
        walk.take(index)
        start += len(options)
    return float(total)


@settings(max_examples=80)
@given(networks(), st.integers(0, 1000), st.sampled_from([{}, {"macs": "1.0x"}, {"params": "0.8x", "macs": "0.9x"}]))
def test_samples_are_admitted_and_their_log_probability_is_the_product(
    network: Network, seed: int, budget: dict[str, object]
) -> None:
    try:
        moves = Moves(network, NAT_PLUS, Budget.parse(budget).resolve(network))
    except NATError:
        assume(False)
    rng = np.random.default_rng(seed)
    batch = build_batch([build_graph(network, moves)])
    scores = rng.normal(size=int(batch.first[-1])) * 3
    samples = draw(scores, batch.sizes[0], moves, rng, 3) + draw(scores, batch.sizes[0], moves, None)
    logs, entropies = evaluate(
        torch.from_numpy(scores), gather_decisions(batch, [(0, sample) for sample in samples], torch.device("cpu"))
    )
    assert (entropies >= -1e-9).all()
    for sample, log in zip(samples, logs.tolist(), strict=True):
        assert moves.admits(sample.choice)
        assert sample.log_probability == pytest.approx(conditionals(scores, moves, sample), abs=1e-9)
        assert log == pytest.approx(sample.log_probability, abs=1e-9)


def test_samples_follow_the_distribution() -> None:
    moves = Moves(ladder([3, 1, 3], [(0, 1), (0, 2), (1, 2)]), NAT)
    rng = np.random.default_rng(0)
    scores = rng.normal(size=int(sizes_of(moves).sum()))
    drawn = draw(scores, sizes_of(moves), moves, rng, 20_000)
    counts, logs = Counter(sample.choice for sample in drawn), {s.choice: s.log_probability for s in drawn}
    assert sum(np.exp(log) for log in logs.values()) == pytest.approx(1, abs=1e-3)
    for choice, count in counts.items():
        expected = np.exp(logs[choice])
        assert abs(count / 20_000 - expected) < 5 * np.sqrt(expected / 20_000) + 1e-4


def test_a_closed_candidate_has_no_gradient_and_underflow_does_no_harm(device: torch.device) -> None:
    network = ladder([3, 3], [(0, 1), (1, 2)])  # one path: null is closed on both
    moves = Moves(network, NAT)
    batch = build_batch([build_graph(network, moves)], device)
    scores = np.array([-2000.0, 0.0, 1000.0] * 2)
    nulls = [index for index, op in enumerate(moves.candidates[0]) if op.is_null]
    scores[nulls] = scores[[n + 3 for n in nulls]] = 5000.0
    sample = draw(scores, batch.sizes[0], moves, np.random.default_rng(0))[0]
    assert moves.admits(sample.choice)
    assert np.isfinite(sample.log_probability)
    tensor = torch.tensor(scores, dtype=torch.float32, device=device, requires_grad=True)
    log, entropy = evaluate(tensor, gather_decisions(batch, [(0, sample)], device))
    (log.sum() + entropy.sum()).backward()
    assert tensor.grad is not None
    assert torch.isfinite(tensor.grad).all()
    assert tensor.grad[nulls].tolist() == [0] * len(nulls)


@pytest.mark.parametrize("budget", [{}, {"macs": "0.7x"}])
def test_most_probable_choices_come_in_order_and_are_complete(budget: dict[str, object]) -> None:
    rng = np.random.default_rng(3)
    network = ladder([3, 1, 2, 3, 4, 3])
    moves = Moves(network, NAT, Budget.parse(budget).resolve(network))
    sizes = sizes_of(moves)
    scores = rng.normal(size=int(sizes.sum()))
    first = np.cumsum(sizes) - sizes

    def value(choice: tuple[int, ...]) -> float:
        return float(scores[first + np.array(choice)].sum())

    every = sorted(moves.all(), key=value, reverse=True)
    assert most_probable(scores, sizes, moves, 10) == every[:10]
    assert most_probable(scores, sizes, moves, 10**6, tries=10**6) == every


@pytest.mark.parametrize("budget", [{}, {"macs": "0.8x"}])
def test_of_choices_that_differ_in_dead_slots_alone_only_the_most_probable_is_taken(budget: dict[str, object]) -> None:
    rng = np.random.default_rng(4)
    network = ladder([3, 1, 2, 3, 4, 3])
    moves = Moves(network, NAT_PLUS, Budget.parse(budget).resolve(network))
    sizes = sizes_of(moves)
    scores = rng.normal(size=int(sizes.sum()))
    every = most_probable(scores, sizes, moves, 10**6, tries=10**6)
    first: dict[Network, tuple[int, ...]] = {}
    for choice in every:
        first.setdefault(canonical(moves.apply(choice)), choice)
    assert len(first) < len(every)
    assert most_probable_written(scores, sizes, moves, 10**6, tries=10**6) == list(first.values())
    assert most_probable_written(scores, sizes, moves, 12) == list(first.values())[:12]


def test_choices_that_keep_what_outputs_join_come_first_and_others_where_there_are_none() -> None:
    rng = np.random.default_rng(1)
    network = genotype_network("DARTS_V2")
    moves = Moves(network, NAT)
    sizes = sizes_of(moves)
    scores, first = 0.1 * rng.normal(size=int(sizes.sum())), np.cumsum(sizes) - sizes
    into_the_last_node = 6, 7
    for slot, start in enumerate(first.tolist()):
        scores[start + moves.nonnull[slot].index(False)] += 3.0 if slot in into_the_last_node else -3.0
    likeliest = most_probable(scores, sizes, moves, 12)
    assert not any(map(moves.keeps_outputs, likeliest))
    found = most_probable_written(scores, sizes, moves, 12)
    assert len(found) == 12
    for choice in found:
        before, after = (canonical(each).by_name for each in (network, moves.apply(choice)))
        assert {name: cell.output for name, cell in after.items()} == {n: cell.output for n, cell in before.items()}
    assert most_probable(scores, sizes, moves, 1) != most_probable_written(scores, sizes, moves, 1, tries=1)


@pytest.mark.parametrize("limit", ["0.9x", "0.6x", "0.3x"])
def test_within_a_limit_skips_take_the_place_of_what_a_policy_would_leave_out(limit: str) -> None:
    network = genotype_network("DARTS_V2")
    moves = Moves(network, NAT, Budget.parse({"macs": limit}).resolve(network))
    sizes = sizes_of(moves)
    scores, first = np.zeros(int(sizes.sum())), np.cumsum(sizes) - sizes
    for slot, start in enumerate(first.tolist()):
        scores[start + moves.nonnull[slot].index(False)] += 9.0
    found = most_probable_written(scores, sizes, moves, 4, tries=64)
    assert found
    assert all(map(moves.admits, found))
    assert all(map(moves.keeps_outputs, found)) == (limit != "0.3x")


def test_greedy_is_the_most_probable_where_that_is_admitted() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        network = random_darts(rng)
        moves = Moves(network, NAT_PLUS, Budget.parse({"macs": "0.8x"}).resolve(network))
        sizes = sizes_of(moves)
        scores = rng.normal(size=int(sizes.sum()))
        choice = greedy(scores, sizes, moves)
        assert moves.admits(choice)
        top = tuple(int(part.argmax()) for part in np.split(scores, np.cumsum(sizes)[:-1]))
        if moves.admits(top):
            assert choice == top


@pytest.mark.parametrize("share", ["0.8x", "0.5x"])
def test_greedy_is_the_most_probable_that_is_admitted_where_all_can_be_tried(share: str) -> None:
    rng = np.random.default_rng(5)
    network = ladder([3, 1, 2, 3, 4, 3])
    moves = Moves(network, NAT, Budget.parse({"macs": share}).resolve(network))
    sizes = sizes_of(moves)
    first = np.cumsum(sizes) - sizes
    for _ in range(5):
        scores = rng.normal(size=int(sizes.sum()))
        scores[first] += 3.0  # the network as it is, which is over the budget
        best = max(moves.all(), key=lambda choice: float(scores[first + np.array(choice)].sum()))
        assert greedy(scores, sizes, moves) == best


def test_greedy_under_a_tight_budget_is_more_probable_than_slot_by_slot() -> None:
    """Where what is admitted is too far from what is most probable to be found by trying."""
    rng = np.random.default_rng(1)
    found, walked = [], []
    for _ in range(12):
        network = random_darts(rng)
        moves = Moves(network, NAT_PLUS, Budget.parse({"macs": "0.5x"}).resolve(network))
        sizes = sizes_of(moves)
        first = np.cumsum(sizes) - sizes
        scores = rng.normal(size=int(sizes.sum()))
        scores[first] += 1.5
        for choices, choice in (
            (found, greedy(scores, sizes, moves)),
            (walked, draw(scores, sizes, moves, None)[0].choice),
        ):
            assert moves.admits(choice)
            choices.append(float(scores[first + np.array(choice)].sum()))
    assert all(one >= other for one, other in zip(found, walked, strict=True))
    assert np.mean(found) > np.mean(walked) + 1


def test_the_same_generator_gives_the_same_samples() -> None:
    moves = Moves(random_darts(np.random.default_rng(0)), NAT)
    scores = np.random.default_rng(1).normal(size=int(sizes_of(moves).sum()))
    one, same = (draw(scores, sizes_of(moves), moves, np.random.default_rng(7), 5) for _ in range(2))
    assert [sample.choice for sample in one] == [sample.choice for sample in same]
