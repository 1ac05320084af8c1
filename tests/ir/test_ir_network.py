"""Networks are values: immutable, hashable, equal by structure; wiring that cannot be is refused."""

from __future__ import annotations

import dataclasses
from dataclasses import replace

import pytest
from hypothesis import given, settings

from nat_plugin.errors import NATError
from nat_plugin.ir import NULL, SKIP, Cell, Edge, Head, Network, Node, Op, Origin, Placement, Slot
from nat_plugin.ir.layers import Conv
from tests.networks import networks

CONV = Op.parse("conv_3x3")


def one_cell(cell: Cell, channels: int = 4) -> Network:
    return Network((("c", cell),), (Placement("c", channels, (0,)),), ((Conv(3, 4),),), Head(2), (3, 8, 8))


def plain() -> Network:
    return one_cell(Cell(1, (Node(),), (Edge(0, 1, CONV, "a", (CONV, SKIP, NULL)),), (1,)))


def test_nothing_can_be_assigned() -> None:
    network = plain()
    for value in (
        network,
        network.by_name["c"],
        network.by_name["c"].edges[0],
        network.placements[0],
        network.head,
        CONV,
    ):
        name = dataclasses.fields(value)[0].name
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, name, None)


@given(networks())
@settings(max_examples=40)
def test_hash_and_equality_follow_structure(network: Network) -> None:
    twin = replace(network, origin=Origin("x", "1", "{}"))
    assert twin == network
    assert hash(twin) == hash(network)
    assert len({twin, network}) == 1
    assert network.with_ops(network.ops) == network
    if network.slots:
        other = network.with_ops([NULL if op != NULL else SKIP for op in network.ops])
        assert other != network
        assert other.with_ops(network.ops) == network


@given(networks())
@settings(max_examples=40)
def test_slots_are_the_editable_edges_of_placed_cells(network: Network) -> None:
    placed = {placement.cell for placement in network.placements}
    expected = [
        Slot(name, index)
        for name, cell in network.cells
        if name in placed
        for index, edge in enumerate(cell.edges)
        if len(edge.choices) > 1
    ]
    assert list(network.slots) == expected
    assert network.ops == tuple(network.edge(slot).op for slot in expected)


def test_with_ops_wants_one_op_for_every_slot() -> None:
    with pytest.raises(NATError, match="2 ops for 1 slots"):
        plain().with_ops([SKIP, SKIP])


def test_edges_are_sorted_by_target_and_keep_their_order_otherwise() -> None:
    edges = (Edge(1, 2, CONV, "late"), Edge(0, 1, CONV, "x"), Edge(0, 1, SKIP, "y"))
    assert [edge.key for edge in Cell(1, (Node(), Node()), edges, (2,)).edges] == ["x", "y", "late"]


@pytest.mark.parametrize(("source", "target"), [(1, 1), (2, 1), (0, 0), (-1, 1), (0, 3), (5, 2)])
def test_edges_go_from_earlier_nodes_to_inner_nodes(source: int, target: int) -> None:
    with pytest.raises(NATError, match=f"^edge {source}->{target}: an edge goes from an earlier node"):
        Cell(1, (Node(), Node()), (Edge(source, target, CONV),), (2,))


@pytest.mark.parametrize("output", [(), (3,), (-1,)])
def test_the_output_lists_nodes(output: tuple[int, ...]) -> None:
    with pytest.raises(NATError, match="a cell's output lists nodes from 0 to 2"):
        Cell(1, (Node(), Node()), (Edge(0, 1, CONV),), output)


@pytest.mark.parametrize("node", [Node(-1), Node(17), Node(0, 0), Node(0, -4)])
def test_nodes_have_sensible_sizes(node: Node) -> None:
    with pytest.raises(NATError, match="a node has a level from 0 to 16"):
        Cell(1, (node,), (), (1,))


def test_a_cell_has_an_input() -> None:
    with pytest.raises(NATError, match="one input or more"):
        Cell(0, (Node(),), (), (0,))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"placements": (Placement("x", 4, (0,)),)}, "placement 1 names cell 'x'"),
        ({"placements": (Placement("c", 4, (0, 0)),)}, "placement 1 reads 2 tensors"),
        ({"placements": (Placement("c", 4, (1,)),)}, "placement 1 reads a tensor that does not come before it"),
        ({"placements": (Placement("c", 4, (-1,)),)}, "placement 1 reads a tensor"),
        ({"placements": (Placement("c", 0, (0,)),)}, "placement 1 has 0 channels"),
        ({"stem": ()}, "a stem of one stage or more"),
    ],
)
def test_placements_read_what_is_there(change: dict[str, object], message: str) -> None:
    with pytest.raises(NATError, match=message):
        replace(plain(), **change)  # type: ignore[arg-type]


def test_cells_have_different_names() -> None:
    network = plain()
    with pytest.raises(NATError, match="the same name"):
        replace(network, cells=network.cells * 2)
