"""Costs of published cells, counted a second time by the rules of DARTS written out by hand."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from nat_plugin.errors import NATError
from nat_plugin.ir import (
    NULL,
    SKIP,
    Cell,
    Edge,
    Head,
    Network,
    NetworkSize,
    Node,
    Op,
    Placement,
    Slot,
    canonical,
    cost,
    costs,
)
from nat_plugin.ir.costs import Cost, costs_as_built, slot_sites
from nat_plugin.ir.layers import Conv, Norm
from nat_plugin.ir.ops import op_cost
from nat_plugin.ir.shapes import layout
from tests.networks import genotype_network, networks, published

PUBLISHED = {
    "DARTS_V2": (3_349_342, 528_359_040),
    "NAT_DARTS": (2_682_334, 424_181_376),
    "NATv2_DARTS": (2_476_054, 394_155_648),
    "ENAS": (3_859_894, 605_719_584),
    "NATv2_ENAS": (3_691_414, 580_836_384),
}


def op_by_hand(name: str, c: int, stride: int, size: int) -> tuple[int, int]:
    """DARTS operations.py: parameters, and MACs at an input of ``size``."""
    out = -(-size // stride)
    kernel = int(name[-1]) if name[-1].isdigit() else 0
    depthwise, pointwise, norm = c * kernel**2, c * c, 2 * c
    if name.startswith("sep_conv"):
        return 2 * (depthwise + pointwise + norm), 2 * (depthwise + pointwise) * out**2
    if name.startswith("dil_conv"):
        return depthwise + pointwise + norm, (depthwise + pointwise) * out**2
    if name.startswith("conv"):
        return c * c * kernel**2 + norm, c * c * kernel**2 * out**2
    if name == "skip_connect" and stride == 2:
        return pointwise + norm, pointwise * out**2
    return 0, 0


def by_hand(
    genotype: dict[str, Any], c: int = 36, layers: int = 20, size: int = 32, classes: int = 10
) -> tuple[int, int]:
    """DARTS model.py (NetworkCIFAR), leaving out null ops and what they make useless."""
    params, macs = 3 * 3 * c * 9 + 2 * 3 * c, 3 * 3 * c * 9 * size**2
    before = last = 3 * c
    for number in range(layers):
        reduction = number in (layers // 3, 2 * layers // 3)
        c *= 1 + reduction
        for channels in (before, last):
            params, macs = params + channels * c + 2 * c, macs + channels * c * size**2
        edges = [
            tuple(edge) for edge in genotype["reduce" if reduction else "normal"] if edge[0] not in ("null", "none")
        ]
        concat = genotype["reduce_concat" if reduction else "normal_concat"]
        fed, used = {0, 1}, set()
        for _, source, target in sorted(edges, key=lambda edge: edge[2]):
            fed |= {target} if source in fed else set()
        ends = [node for node in concat if node in fed]
        used.update(ends)
        for name, source, target in sorted(edges, key=lambda edge: -edge[2]):
            if target in used and source in fed:
                used.add(source)
                stride = 2 if reduction and source < 2 else 1
                at = -(-size // 2) if reduction and source >= 2 else size
                more = op_by_hand(name, c, stride, at)
                params, macs = params + more[0], macs + more[1]
        size = -(-size // 2) if reduction else size
        before, last = last, c * len(ends)
    return params + last * classes + classes, macs + last * classes


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_cells(name: str) -> None:
    assert cost(genotype_network(name)) == Cost(*PUBLISHED[name])
    assert by_hand(published()[name]) == PUBLISHED[name]


def test_every_published_cell_at_other_widths_depths_and_sizes() -> None:
    hand_knows = ("sep_conv", "dil_conv", "conv_1x1", "conv_3x3", "conv_5x5", "skip", "null", "none", "max", "avg")
    counted = 0
    for name, genotype in published().items():
        if all(op.startswith(hand_knows) for op, _, _ in genotype["normal"] + genotype["reduce"]):
            for channels, cells, pixels in ((16, 8, 32), (6, 5, 31), (12, 3, 9)):
                size = NetworkSize(channels, cells, (3, pixels, pixels), 7)
                found = cost(genotype_network(name, size))
                assert (found.params, found.macs) == by_hand(genotype, channels, cells, pixels, 7), name
                counted += 1
    assert counted > 80


@given(networks())
@settings(max_examples=60)
def test_slots_and_fixed_parts_add_up(network: Network) -> None:
    found = costs_as_built(network)
    assert found.total == sum(found.slots.values(), found.fixed)
    assert set(found.slots) == set(network.slots)
    sites = slot_sites(network)
    for slot, each in found.slots.items():
        assert each == sum((Cost(*op_cost(network.edge(slot).op, site)) for site in sites[slot]), Cost())
    for placed in layout(network).placed:
        for slot in network.slots:
            if slot.cell == placed.placement.cell:
                assert placed.sites[slot.index] in sites[slot]


def test_dead_ops_and_their_concat_cost_nothing() -> None:
    conv = Op.parse("conv_3x3")
    edges = (Edge(0, 1, conv, "", (conv, NULL)), Edge(0, 2, NULL, "", (conv, NULL)), Edge(2, 3, conv, "", (conv, NULL)))
    cell = Cell(1, (Node(), Node(norm=True), Node()), edges, (1, 3), project=True)
    stem = ((Conv(3, 4),),)
    network = Network((("c", cell),), (Placement("c", 4, (0,)),) * 1, stem, Head(5), (3, 6, 6))
    projection, first = 4 * 4 + 8, 9 * 16 + 8
    assert cost(network) == Cost(12 + projection + first + 4 * 5 + 5, (12 + 16 + 144) * 36 + 20)
    found = costs(network)
    assert found.slots[Slot("c", 2)] == Cost()
    assert found.slots[Slot("c", 0)] == Cost(first, 144 * 36)
    assert canonical(network).by_name["c"].output == (1,)


def test_a_skip_at_stride_two_is_a_factorized_reduction() -> None:
    cell = Cell(1, (Node(1),), (Edge(0, 1, SKIP),), (1,))
    network = Network((("c", cell),), (Placement("c", 6, (0,)),), ((Conv(3, 6), Norm(6)),), Head(2), (3, 7, 7))
    assert costs_as_built(network).fixed == Cost(18 + 12 + 36 + 12 + 12 + 2, 18 * 49 + 36 * 16 + 12)


def test_a_plain_skip_between_unequal_channels_is_refused() -> None:
    cell = Cell(1, (Node(),), (Edge(0, 1, SKIP),), (1,))
    network = Network((("c", cell),), (Placement("c", 5, (0,)),), ((Conv(3, 6),),), Head(2), (3, 7, 7))
    with pytest.raises(NATError, match="op 'skip' cannot stand between 6 and 5 channels at stride 1"):
        cost(network)
