"""Networks as graphs, alone and in batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from policy.samples import random_darts, random_ladder

from nat_plugin.errors import NATError
from nat_plugin.ir import Budget, Moves, Network, find_rule, live
from nat_plugin.policy.describe import describe, op_number, ops_of
from nat_plugin.policy.graphs import CANDIDATE_WIDTH, EDGE_WIDTH, GRAPH_WIDTH, NODE_WIDTH, build_batch, build_graph
from tests.networks import networks

NAT_PLUS = find_rule("nat++")


def moves_of(network: Network, budget: dict[str, object] | None = None) -> Moves:
    try:
        return Moves(network, NAT_PLUS, Budget.parse(budget or {}).resolve(network))
    except NATError:
        assume(False)
        raise


def test_ops_stand_in_an_order_that_does_not_depend_on_which_this_process_met_first() -> None:
    """Sums over them round by it: a run that is resumed would end with other bits."""
    network = random_darts(np.random.default_rng(0))
    for op in sorted({op for options in moves_of(network).candidates for op in options}, key=str, reverse=True):
        op_number(op)
    graph = build_graph(network, moves_of(network))
    batch = build_batch([graph])
    assert [str(op) for op in batch.ops] == sorted(str(op) for op in batch.ops)
    rows = ops_of(graph.row_op)
    assert [batch.ops[number] for number in batch.row_op.tolist()] == list(rows)
    assert torch.equal(batch.op_x, torch.from_numpy(np.stack([describe(op) for op in batch.ops])))


@settings(max_examples=60)
@given(networks())
def test_a_graph_has_every_node_edge_and_candidate(network: Network) -> None:
    moves = moves_of(network)
    graph = build_graph(network, moves)
    cells = [cell for name, cell in network.cells if any(slot.cell == name for slot in network.slots)]
    assert graph.node_x.shape == (sum(cell.inputs + len(cell.nodes) for cell in cells), NODE_WIDTH)
    assert graph.edge_x.shape == (sum(len(cell.edges) for cell in cells), EDGE_WIDTH)
    assert graph.sizes.tolist() == [len(options) for options in moves.candidates]
    assert graph.row_x.shape == (graph.sizes.sum(), CANDIDATE_WIDTH)
    assert graph.graph_x.shape == (1, GRAPH_WIDTH)
    assert graph.edge_x[:, 0].astype(bool).tolist() == [each for cell in cells for each in live(cell).edges]
    for part in (graph.node_x, graph.edge_x, graph.row_x, graph.graph_x):
        assert np.isfinite(part).all()
    first = np.cumsum(graph.sizes) - graph.sizes
    assert (np.flatnonzero(graph.row_x[:, 0]) == first).all()
    if len(graph.edge_op):
        assert (graph.row_op[first] == graph.edge_op[graph.row_edge[first]]).all()


def test_the_budget_left_is_part_of_the_graph() -> None:
    network = random_darts(np.random.default_rng(0))
    rows = [
        build_graph(network, moves_of(network, budget)).graph_x[0]
        for budget in ({}, {"macs": "1.0x"}, {"macs": "0.8x"}, {"params": "0.8x"})
    ]
    assert rows[0].tolist() == [0] * GRAPH_WIDTH
    assert rows[1][:6].tolist() == [0, 1, 0, 0, 0, 0]
    assert rows[2][:6] == pytest.approx([0, 1, 0, 0, -0.2, 0])
    assert rows[3][:6] == pytest.approx([1, 0, 0, -0.2, 0, 0])
    spent, free = rows[1][6:]
    assert spent == pytest.approx(1)
    assert rows[2][6:] == pytest.approx([free / (free - 0.2), (free - 0.2) / 0.8])


def test_a_batch_keeps_graphs_apart(device: torch.device) -> None:
    rng = np.random.default_rng(0)
    found = [random_darts(rng), random_ladder(rng), random_darts(rng)]
    graphs = [build_graph(network, moves_of(network)) for network in found]
    batch = build_batch(graphs, device)
    assert all(value.device.type == device.type for value in vars(batch).values() if isinstance(value, torch.Tensor))
    counts = [len(graph.node_x) for graph in graphs]
    assert batch.node_graph.tolist() == [n for n, count in enumerate(counts) for _ in range(count)]
    assert (batch.node_graph[batch.source] == batch.edge_graph).all()
    assert (batch.node_graph[batch.target] == batch.edge_graph).all()
    assert (batch.edge_graph[batch.row_edge] == batch.row_graph).all()
    assert np.diff(batch.first).tolist() == [len(graph.row_op) for graph in graphs]
