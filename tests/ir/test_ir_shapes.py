"""Shapes of every tensor, and what cannot be connected."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from nat_plugin.errors import NATError
from nat_plugin.ir import Cell, Edge, Head, Network, Node, Op, Placement, Site, cost, layout
from nat_plugin.ir.layers import Act, Conv, FactorizedReduce, Norm, Opaque, Pool, SqueezeExcite, run_layers, strided
from nat_plugin.ir.ops import op_kind
from tests.networks import networks

CONV = Op.parse("conv_3x3")


def network(cell: Cell, sources: tuple[int, ...], stem: tuple[tuple[Conv | Norm, ...], ...]) -> Network:
    return Network((("c", cell),), (Placement("c", 4, sources),), stem, Head(2), (3, 9, 7))


TWO_SIZES = ((Conv(3, 4),), (Conv(4, 4, (3, 3), (2, 2)),))


def test_inputs_of_two_sizes_need_projections() -> None:
    plain = Cell(2, (Node(),), (Edge(0, 2, CONV), Edge(1, 2, CONV)), (2,))
    with pytest.raises(NATError, match="reads tensors of different resolutions and does not project them"):
        layout(network(plain, (0, 1), TWO_SIZES))
    projected = Cell(2, (Node(),), plain.edges, (2,), project=True)
    placed = layout(network(projected, (0, 1), TWO_SIZES)).placed[0]
    assert placed.nodes == ((4, 5, 4),) * 3
    assert isinstance(placed.projections[0][1][1], FactorizedReduce)
    with pytest.raises(NATError, match="an input of 5x4 cannot be projected to 9x7"):
        layout(network(projected, (1, 0), TWO_SIZES))


def test_edges_do_not_lead_to_a_larger_resolution() -> None:
    cell = Cell(1, (Node(1), Node(0)), (Edge(0, 1, CONV), Edge(1, 2, CONV)), (2,))
    with pytest.raises(NATError, match="edge 1->2 of cell 'c' goes to a larger resolution"):
        cost(network(cell, (0,), TWO_SIZES[:1]))


def test_an_output_has_one_resolution() -> None:
    cell = Cell(1, (Node(1), Node(0)), (Edge(0, 1, CONV), Edge(0, 2, CONV)), (1, 2))
    with pytest.raises(NATError, match="concatenates nodes of different resolutions"):
        layout(network(cell, (0,), TWO_SIZES[:1]))


@pytest.mark.parametrize("layer", [Conv(5, 4), Norm(5), FactorizedReduce(5, 4), SqueezeExcite(5, 2)])
def test_layers_get_the_channels_that_they_are_for(layer: Conv | Norm) -> None:
    with pytest.raises(NATError, match=f"a layer '{layer.tag}' for 5 channels gets 3"):
        run_layers((layer,), (3, 8, 8))


def test_layers_count_and_halve_as_torch_does() -> None:
    shape, params, macs = run_layers(
        (
            Conv(3, 8, (3, 5), (2, 1), bias=True),
            Norm(8),
            Act(),
            Pool("max", 3, 2),
            SqueezeExcite(8, 2),
            Opaque("x", (7, 9), 6, 2),
        ),
        (3, 9, 7),
    )
    assert shape == (6, 2, 2)
    assert params == 3 * 8 * 15 + 8 + 16 + (2 * 8 * 2 + 2 + 8) + 7
    assert macs == 3 * 8 * 15 * 5 * 7 + 2 * 8 * 2 + 9
    assert [strided(size, 2) for size in (1, 2, 7, 8)] == [1, 1, 4, 4]


@given(networks())
@settings(max_examples=60)
def test_every_op_gives_the_shape_of_its_node(built: Network) -> None:
    found = layout(built)
    for placed in found.placed:
        for edge, site in zip(placed.cell.edges, placed.sites, strict=True):
            assert site.input == placed.nodes[edge.source]
            if not edge.op.is_null:
                shape, _, _ = run_layers(edge.op.layers(site), site.input)
                assert shape == placed.nodes[edge.target], edge
        assert placed.output[0] == sum(placed.nodes[node][0] for node in placed.cell.output)


def test_sites_know_how_manieth_placement_they_are_in() -> None:
    cell = Cell(1, (Node(),), (Edge(0, 1, CONV),), (1,))
    built = Network(
        (("c", cell),), tuple(Placement("c", 4, (n,)) for n in range(3)), ((Conv(3, 4),),), Head(2), (3, 8, 8)
    )
    assert [placed.sites[0].ordinal for placed in layout(built).placed] == [0, 1, 2]


def test_only_kinds_with_residual_add_their_input() -> None:
    assert op_kind("mbconv").residual
    assert not op_kind("conv").residual
    assert Site(4, 4, 1, 8, 8).keeps_shape
    assert not Site(4, 4, 2, 8, 8).keeps_shape


def test_a_cell_can_stand_lower_at_one_placement_than_at_another() -> None:
    cell = Cell(1, (Node(), Node(1)), (Edge(0, 1, CONV), Edge(1, 2, CONV), Edge(0, 2, CONV)), (2,))
    placements = (Placement("c", 4, (0,)), Placement("c", 4, (1,), level=1))
    placed = layout(Network((("c", cell),), placements, ((Conv(3, 4),),), Head(2), (3, 16, 16))).placed
    assert [[site.stride for site in each.sites] for each in placed] == [[1, 2, 2], [2, 2, 4]]
    assert [each.output for each in placed] == [(4, 8, 8), (4, 2, 2)]
    with pytest.raises(NATError, match="placement 1 has level -1; allowed: 0 to 16"):
        Network((("c", cell),), (Placement("c", 4, (0,), level=-1),), ((Conv(3, 4),),), Head(2), (3, 9, 7))
