"""Inputs for training: connected, of the same cells, and spread over what they may be."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from policy.samples import ladder, random_darts
from pydantic import ValidationError

from nat_plugin.errors import NATError
from nat_plugin.ir import Moves, Network, cost, find_rule, is_connected
from nat_plugin.search.nat.inputs import Mix, draw_source, neighbour, rewired
from tests.networks import networks

NAT = find_rule("nat")


@settings(max_examples=80)
@given(networks(), st.integers(0, 1000), st.sampled_from(["nat", "nat++"]))
def test_neighbours_are_legal_and_connected(network: Network, seed: int, rule: str) -> None:
    try:
        moves = Moves(network, find_rule(rule))
    except NATError:
        assume(False)
    moves.verify(neighbour(network, find_rule(rule), np.random.default_rng(seed)))


def test_neighbours_are_near_and_far() -> None:
    network = random_darts(np.random.default_rng(0))
    rng = np.random.default_rng(1)
    changes = Counter(
        sum(a != b for a, b in zip(network.ops, neighbour(network, NAT, rng).ops, strict=True)) for _ in range(300)
    )
    assert 0 not in changes
    assert len(changes) >= 12


def is_countable(network: Network) -> bool:
    """Not where a node that gets nothing makes a cell narrower than its reader allows."""
    try:
        cost(network)
    except NATError:
        return False
    return True


@settings(max_examples=80)
@given(networks(), st.integers(0, 1000))
def test_rewired_networks_keep_nodes_and_edges(network: Network, seed: int) -> None:
    assume(is_connected(network) and is_countable(network))
    found = rewired(network, np.random.default_rng(seed))
    assert is_connected(found)
    cost(found)  # every op is legal where it stands
    assert found.placements == network.placements
    for (_, cell), (_, before) in zip(found.cells, network.cells, strict=True):
        assert (cell.inputs, cell.nodes, cell.output, cell.project) == (
            before.inputs, before.nodes, before.output, before.project
        )  # fmt: skip
        for edge, was in zip(cell.edges, before.edges, strict=True):
            assert (edge.target, edge.key, edge.choices) == (was.target, was.key, was.choices)
            assert edge == was or edge.editable


def test_rewired_cells_have_distinct_inputs_and_all_ops_but_null() -> None:
    rng = np.random.default_rng(0)
    network, ops, sources = random_darts(rng), Counter(), Counter()
    for _ in range(200):
        cell = rewired(network, rng).by_name["normal"]
        ops.update(str(edge.op) for edge in cell.edges)
        for target in range(2, 6):
            pair = tuple(edge.source for edge in cell.edges if edge.target == target)
            assert len(set(pair)) == 2
            sources[target, pair] += 1
    assert len(ops) == 7
    assert "null" not in ops
    assert min(ops.values()) > 150
    assert len(sources) == 1 + 3 + 6 + 10


def test_a_complete_wiring_keeps_its_edges() -> None:
    network = ladder([3, 3, 3, 3, 3, 3])
    found = rewired(network, np.random.default_rng(0))
    ends = [[(edge.source, edge.target) for edge in each.by_name["cell"].edges] for each in (network, found)]
    assert ends[0] == ends[1]


def test_shares_are_kept() -> None:
    network = ladder([3, 3, 3, 3, 3, 3])
    rng = np.random.default_rng(0)
    drawn = [draw_source(Mix(input=3, neighbours=1), (network,), NAT, rng) for _ in range(400)]
    assert 250 < sum(each == network for each in drawn) < 350
    assert all(draw_source(Mix(input=1, neighbours=0), (network,), NAT, rng) == network for _ in range(20))
    assert any(
        "avg_pool_3x3" in map(str, draw_source(Mix(input=0, neighbours=0, random=1), (network,), NAT, rng).ops)
        for _ in range(20)
    )


@pytest.mark.parametrize("values", [{"input": 0, "neighbours": 0}, {"input": -1}, {"random": float("nan")}, {"x": 1}])
def test_wrong_shares_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Mix(**values)
