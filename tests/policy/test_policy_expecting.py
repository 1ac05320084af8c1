"""What is written the same is described once, what computes the same is one, what has no output is not described."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from policy.samples import LADDER_OPS, ladder, random_darts, random_ladder

from nat_plugin.ir import NULL, Choice, Moves, canonical, find_rule, is_connected, key
from nat_plugin.policy.critic import Critic, CriticConfig, new_critic
from nat_plugin.policy.expecting import BROKEN, Expecting
from nat_plugin.policy.graphs import build_graph

NATPP = find_rule("nat++")


@pytest.fixture(scope="module")
def critic() -> Critic:
    return new_critic(CriticConfig(members=1, hidden=8, rounds=1, width=4), 0, torch.device("cpu"))


def drawn(moves: Moves, rng: np.random.Generator, count: int) -> list[Choice]:
    """Connected or not."""
    sizes = [len(options) for options in moves.candidates]
    return [tuple(rng.integers(sizes).tolist()) for _ in range(count)]


@pytest.mark.parametrize("draw", [random_ladder, random_darts])
def test_ops_without_the_dead_ones_are_those_of_the_canonical_network(draw: type) -> None:
    rng, dead = np.random.default_rng(0), 0
    for _ in range(20):
        moves = Moves(draw(rng), NATPP)
        choices = drawn(moves, rng, 10)
        for choice, fed, alive in zip(choices, *moves.live(np.array(choices)), strict=True):
            network = moves.apply(choice)
            assert fed == is_connected(network)
            dead += not fed
            if fed:
                left = [op if on else NULL for op, on in zip(moves.ops(choice), alive, strict=True)]
                assert canonical(network).ops == tuple(left)
    assert draw is random_darts or dead > 0


def test_of_no_choices_nothing_is_alive() -> None:
    moves = Moves(ladder([3, 3, 3, 3, 3, 3]), NATPP)
    there, alive = moves.live(np.zeros((0, len(moves.slots)), np.int64))
    assert there.shape == (0,)
    assert alive.shape == (0, len(moves.slots))


def test_what_is_expected_is_what_the_critic_says_of_the_network_as_it_is_written(critic: Critic) -> None:
    rng = np.random.default_rng(1)
    moves = Moves(ladder([3, 1, 1, 1, 3, 1]), NATPP)
    choices = drawn(moves, rng, 60)
    found = Expecting(critic).of(moves, choices)
    fed = [is_connected(moves.apply(choice)) for choice in choices]
    graphs = [build_graph(canonical(moves.apply(one))) for one, on in zip(choices, fed, strict=True) if on]
    assert 0 < sum(fed) < len(fed)
    assert found.mean[fed] == pytest.approx(critic.expect(graphs).mean, abs=1e-5)
    assert (found.mean[np.logical_not(fed)] == BROKEN).all()


def test_of_choices_that_compute_the_same_the_mean_is_expected_of_each(critic: Critic) -> None:
    """One convolution on the way from the input to the output, before a skip or after it, and something else."""
    moves, null, skip, conv = Moves(ladder([3, 3, 3, 3, 3, 3]), NATPP), *LADDER_OPS[:2], LADDER_OPS[3]

    def choice(**ops: object) -> Choice:
        wanted = {"0->1": null, "0->2": null, "1->2": null, "0->3": null, "1->3": null, "2->3": null, **ops}
        network = moves.network.with_ops([wanted[moves.network.edge(slot).key] for slot in moves.slots])
        return moves.choice(network)

    alike = [choice(**{"0->1": conv, "1->3": skip}), choice(**{"0->1": skip, "1->3": conv})]
    other = choice(**{"0->3": skip})
    assert len({key(moves.apply(each)) for each in alike}) == 1
    choices, expecting = [*alike, other], Expecting(critic)
    apart, [one] = expecting.of(moves, choices), expecting.as_one([(moves, choices)])
    assert apart.mean[0] != pytest.approx(apart.mean[1], abs=1e-6)
    assert one.mean == pytest.approx([*[apart.mean[:2].mean()] * 2, apart.mean[2]])
    assert one.gain(0, 1) == (0.0, 0.0)
    assert one.gain(2, 0)[1] == pytest.approx(
        float(np.linalg.norm(apart.features[:2].mean(axis=0) - apart.features[2]))
    )


def test_one_that_no_other_computes_is_as_it_was(critic: Critic) -> None:
    moves = Moves(ladder([3, 3, 3, 3, 3, 3]), NATPP)
    expecting = Expecting(critic)
    [one] = expecting.as_one([(moves, [moves.identity])])
    assert one.mean == expecting.of(moves, [moves.identity]).mean
