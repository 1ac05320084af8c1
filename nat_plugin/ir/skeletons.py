"""Networks around cells: the stacks of normal and reduction cells of the DARTS and ENAS micro families, and the
residual stages of NAS-Bench-201."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

from nat_plugin.errors import NATError
from nat_plugin.ir.layers import Act, Conv, Layer, Norm, Shape
from nat_plugin.ir.network import Cell, Edge, Head, Network, Node, Origin, Placement
from nat_plugin.ir.ops import Op

RESIDUAL_STAGES = 3
"""Of ``residual_stages``, as in NAS-Bench-201."""
LARGE_INPUT = 128
"""From this height on the ImageNet stem of DARTS (three halvings) is used instead of the CIFAR stem."""


@dataclass(frozen=True)
class NetworkSize:
    """How large the network around the cells of an architecture is. ``None`` leaves a value to the adapter.

    ``channels``: of the first cells; ``cells``: how many in depth; ``input``: channels, height, width of an image.
    """

    channels: int | None = None
    cells: int | None = None
    input: Shape = (3, 32, 32)
    classes: int = 10

    def __post_init__(self) -> None:
        numbers = {"channels": self.channels, "cells": self.cells, "classes": self.classes}
        for name, value in numbers.items():
            if value is not None and not 1 <= value <= 100_000:
                raise NATError(f"{name} must be from 1 to 100000, not {value}")
        if not all(1 <= size <= 100_000 for size in self.input):
            raise NATError(f"input sizes must be from 1 to 100000, not {self.input}")

    def filled(self, channels: int, cells: int) -> tuple[int, int]:
        """Channels and cells with the defaults of an adapter."""
        return self.channels or channels, self.cells or cells


def cifar_stem(c_in: int, c_out: int) -> tuple[tuple[Layer, ...], ...]:
    return ((Conv(c_in, c_out, (3, 3)), Norm(c_out)),)


def imagenet_stem(c_in: int, c_out: int) -> tuple[tuple[Layer, ...], ...]:
    """Two stages, at a quarter and an eighth of the resolution (DARTS ``NetworkImageNet``)."""
    half, two = c_out // 2, (2, 2)
    first = (Conv(c_in, half, (3, 3), two), Norm(half), Act(), Conv(half, c_out, (3, 3), two), Norm(c_out))
    return (first, (Act(), Conv(c_out, c_out, (3, 3), two), Norm(c_out)))


def cell_stack(
    normal: Cell, reduce: Cell, size: NetworkSize, channels: int, cells: int, origin: Origin | None = None
) -> Network:
    """The evaluation network of DARTS: reduction cells, with twice the channels, at 1/3 and 2/3 of the depth.

    Every cell reads the two tensors before it. Small images get a 3x3 stem with three times the channels, large ones
    the ImageNet stem.
    """
    large = size.input[1] >= LARGE_INPUT
    stem = imagenet_stem(size.input[0], channels) if large else cifar_stem(size.input[0], 3 * channels)
    placements = []
    last, width = len(stem) - 1, channels
    before = last - 1 if large else last
    for number in range(cells):
        kind = "reduce" if number in (cells // 3, 2 * cells // 3) else "normal"
        width *= 1 + (kind == "reduce")
        placements.append(Placement(kind, width, (before, last)))
        before, last = last, len(stem) + number
    return Network(
        (("normal", normal), ("reduce", reduce)), tuple(placements), stem, Head(size.classes), size.input, origin
    )


def at_level(cell: Cell, level: int) -> Cell:
    """The cell with all its inner nodes at a level: 1 makes a reduction cell, whose edges from inputs have stride 2."""
    return replace(cell, nodes=tuple(replace(node, level=level) for node in cell.nodes))


class CellContext(NamedTuple):
    """All of a network that is no searched cell."""

    cells: tuple[tuple[str, Cell], ...]
    placements: tuple[Placement, ...]
    stem: tuple[tuple[Layer, ...], ...]
    head: Head


@lru_cache(maxsize=64)
def residual_stages(searched: str, size: NetworkSize, channels: int, cells: int) -> CellContext:
    """The network of NAS-Bench-201: three stages of the cell named ``searched``, with twice the channels from one to
    the next, and residual blocks of stride 2 between them; batch norm and ReLU before the pooling.

    ``cells``: of all stages together. Source: ``xautodl/models/cell_infers/tiny_network.py`` of D-X-Y/AutoDL-Projects.
    NATError if they cannot be shared out evenly.
    """
    channels, cells = size.filled(channels, cells)
    if cells % RESIDUAL_STAGES:
        raise NATError(
            f"cells: NAS-Bench-201 has the same number in each of its {RESIDUAL_STAGES} stages; {cells} cannot be "
            "divided so"
        )
    conv, shortcut = Op.parse("conv_3x3"), Op("nb201_shortcut")
    residual = Cell(1, (Node(1), Node(1)), (Edge(0, 1, conv), Edge(0, 2, shortcut), Edge(1, 2, conv)), (2,))
    names = [searched] * (cells // RESIDUAL_STAGES)
    for _ in range(RESIDUAL_STAGES - 1):
        names += ["residual", *[searched] * (cells // RESIDUAL_STAGES)]
    placements, width = [], channels
    for number, name in enumerate(names):
        width *= 1 + (name != searched)
        placements.append(Placement(name, width, (number,)))
    head = Head(size.classes, (Norm(width), Act()))
    return CellContext((("residual", residual),), tuple(placements), cifar_stem(size.input[0], channels), head)
