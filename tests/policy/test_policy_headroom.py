"""What candidates take of the room that a budget leaves, for metrics that add up and for any other."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from policy.samples import LADDER_OPS, ladder, random_ladder

from nat_plugin.errors import NATError
from nat_plugin.ir import Budget, Moves, Network, canonical, cost, find_rule
from nat_plugin.ir.budget import METRICS
from nat_plugin.policy.graphs import Graph, build_graph

NAT_PLUS = find_rule("nat++")
MILLISECONDS = dict(zip(LADDER_OPS, (0.0, 1.0, 2.0, 5.0, 3.0), strict=True))


def latency(network: Network) -> float:
    return 4.0 + sum(MILLISECONDS[op] for op in canonical(network).ops)


def graph_of(network: Network, budget: dict[str, object], metric: Callable[[Network], float] = latency) -> Graph:
    limits = Budget.parse(budget, {**METRICS, "latency": metric}).resolve(network)
    return build_graph(network, Moves(network, NAT_PLUS, limits))


def shares(graph: Graph) -> list[np.ndarray]:
    """By slot."""
    return np.split(graph.row_x[:, 7], np.cumsum(graph.sizes)[:-1])


def test_a_choice_within_a_limit_has_shares_of_one_at_most() -> None:
    rng = np.random.default_rng(0)
    for _ in range(10):
        network = random_ladder(rng)
        limits = Budget.parse({"macs": "0.8x"}).resolve(network)
        try:
            moves = Moves(network, NAT_PLUS, limits)
        except NATError:
            continue
        taken = shares(build_graph(network, moves))
        for choice in list(moves.all())[::20]:
            after = moves.apply(choice)
            total = sum(each[index] for each, index in zip(taken, choice, strict=True))
            if canonical(after) == after:  # nothing dead in it
                assert total <= 1 + 1e-5
                room = (
                    float(limits.values[0][1]) - cost(network.with_ops([LADDER_OPS[0]] * 3 + [LADDER_OPS[1]] * 3)).macs
                )
                assert cost(after).macs - float(limits.values[0][1]) == pytest.approx(
                    (total - 1) * room, rel=1e-3, abs=1
                )


def test_what_a_candidate_takes_of_a_latency_is_what_it_changes() -> None:
    """Six convolutions of 5 ms and 4 ms around them; 25.5 ms leave 19.5 for what all slots share: two keep 1 ms."""
    graph = graph_of(ladder([3] * 6), {"latency": "0.75x"})
    for slot, each in enumerate(shares(graph)):
        # the present op, null (where other edges would die with it, the least of the others), skip, then cheaper ones
        least = 1.0 if slot in (0, 5) else 0.0
        times = np.array([5.0, least, 1.0, 2.0, 3.0]) - least
        assert sorted(each) == pytest.approx(sorted(times / 19.5), rel=1e-5)
    assert graph.graph_x[0, 6:] == pytest.approx([28 / 19.5, 19.5 / 25.5], rel=1e-5)
    assert (graph.row_x[:, 8] == 0).all()


def test_of_several_limits_the_largest_share_counts() -> None:
    network = ladder([3] * 6)
    alone = [np.concatenate(shares(graph_of(network, each))) for each in ({"macs": "0.8x"}, {"latency": "0.5x"})]
    both = np.concatenate(shares(graph_of(network, {"macs": "0.8x", "latency": "0.5x"})))
    assert both == pytest.approx(np.maximum(*alone))


def test_a_change_that_is_not_known_goes_by_its_macs() -> None:
    network = ladder([3, 0, 0, 0, 0, 3], ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (1, 3)))
    known = graph_of(network, {"latency": "1.0x"}, lambda each: 2.0 * cost(each).macs)
    unknown = graph_of(
        network, {"latency": "1.0x"}, lambda each: 2.0 * cost(each).macs if each == network else math.inf
    )
    assert np.isfinite(unknown.row_x).all()
    assert known.row_x[:, 7] == pytest.approx(unknown.row_x[:, 7])


def test_without_a_limit_nothing_is_taken() -> None:
    graph = graph_of(ladder([3] * 6), {})
    assert not graph.row_x[:, 7:].any()
    assert not graph.graph_x.any()
    assert not graph.edge_x[:, 3:5].any()
