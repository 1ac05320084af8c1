"""The stack of cells of DARTS: where reductions stand, which tensors cells read, stems for small and large images."""

from __future__ import annotations

import pytest

from nat_plugin.errors import NATError
from nat_plugin.ir import Cell, Edge, Network, NetworkSize, Node, Op, cell_stack, layout
from nat_plugin.ir.skeletons import at_level

CELL = Cell(
    2, (Node(), Node()), (Edge(0, 2, Op.parse("conv_3x3")), Edge(1, 3, Op.parse("conv_3x3"))), (2, 3), project=True
)


def stack(cells: int, size: int = 32, channels: int = 4) -> Network:
    return cell_stack(CELL, at_level(CELL, 1), NetworkSize(input=(3, size, size)), channels, cells)


@pytest.mark.parametrize(
    ("cells", "reductions"), [(3, [1, 2]), (5, [1, 3]), (8, [2, 5]), (20, [6, 13]), (14, [4, 9]), (1, [0])]
)
def test_reductions_stand_at_a_third_and_two_thirds(cells: int, reductions: list[int]) -> None:
    network = stack(cells)
    assert [number for number, each in enumerate(network.placements) if each.cell == "reduce"] == reductions
    widths = [each.channels for each in network.placements]
    assert widths == [4 * 2 ** sum(number >= where for where in reductions) for number in range(cells)]


def test_cells_read_the_two_tensors_before_them() -> None:
    assert [each.sources for each in stack(4).placements] == [(0, 0), (0, 1), (1, 2), (2, 3)]
    assert [each.sources for each in stack(4, 224).placements] == [(0, 1), (1, 2), (2, 3), (3, 4)]


def test_shapes_of_small_and_large_images() -> None:
    assert layout(stack(3)).tensors == ((12, 32, 32), (8, 32, 32), (16, 16, 16), (32, 8, 8))
    tensors = layout(stack(14, 224, 48)).tensors
    assert tensors[:3] == ((48, 56, 56), (48, 28, 28), (96, 28, 28))
    assert tensors[-1] == (2 * 192, 7, 7)
    assert layout(stack(3, 127)).tensors[0][1] == 127
    assert layout(stack(3, 128)).tensors[0][1] == 32


def test_at_level_makes_a_reduction_cell() -> None:
    assert all(node.level == 1 for node in at_level(CELL, 1).nodes)
    placed = layout(stack(3)).placed[1]
    assert [site.stride for site in placed.sites] == [2, 2]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"channels": 0}, "channels must be from 1 to 100000, not 0"),
        ({"cells": -1}, "cells must be from 1 to 100000, not -1"),
        ({"classes": 10**6}, "classes must be from 1"),
        ({"input": (3, 0, 32)}, "input sizes must be from 1"),
    ],
)
def test_sizes_are_sensible(values: dict[str, int], message: str) -> None:
    with pytest.raises(NATError, match=message):
        NetworkSize(**values)  # type: ignore[arg-type]


def test_sizes_leave_values_to_adapters() -> None:
    assert NetworkSize().filled(36, 20) == (36, 20)
    assert NetworkSize(channels=16).filled(36, 20) == (16, 20)
