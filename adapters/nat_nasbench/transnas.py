"""Strings of TransNAS-Bench-101, its cell-level space, and the network of that benchmark.

Source: ``lib/models/net_infer/{net_macro,cell_micro}.py`` and ``lib/models/net_ops/cell_ops.py`` of
yawen-d/TransNASBench. ``64-41414-1_02_333``: 64 channels after the stem, five modules, the ops of every edge between
four nodes. A module is two cells; 4 doubles the channels and halves the resolution in the first of them, 3 halves the
resolution, 1 does neither. The same cell stands at every place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from nat_nasbench.forms201 import ENDS
from nat_nasbench.texts import bare
from nat_plugin import Adapter, NATError
from nat_plugin.extending import Published, refusal
from nat_plugin.ir import (
    LARGE_INPUT,
    NULL,
    SKIP,
    Act,
    Cell,
    Conv,
    Edge,
    Head,
    Layer,
    Network,
    NetworkSize,
    Node,
    Norm,
    Op,
    Origin,
    Placement,
    Shape,
    cifar_stem,
)

CHANNELS, MODULES, BLOCKS = 64, "41414", 2
SIZE = NetworkSize(input=(3, 256, 256), classes=63)
"""Of the task class_scene, of which the benchmark states parameters and FLOPs."""
OPS = (NULL, SKIP, Op.parse("conv_1x1"), Op.parse("conv_3x3"))
"""By their digits."""
CELL = "cell"
FORM = "64-41414-1_02_333"
MAX_CHARS, MAX_MODULES = 1000, 9
_WHOLE = re.compile(r"([0-9]{1,4})-([1-4]+)-([0-3])_([0-3]{2})_([0-3]{3})")
_MEANT = re.compile(r"\d+-\d+-(?:\w*_\w*|basic)")
_NODES = (Node(),) * 3
_EDGES = tuple(tuple(Edge(source, target, op, f"{source}->{target}", OPS) for op in OPS) for source, target in ENDS)


class TransNASAdapter(Adapter):
    """Cells of TransNAS-Bench-101."""

    name = "transnas"
    summary = f"TransNAS-Bench-101 strings: {FORM}, ops 0 none, 1 skip, 2 conv 1x1, 3 conv 3x3"
    version = "1"

    def recognises(self, text: str) -> bool:
        return refusal(_parse, text) is None

    def near(self, text: str) -> str | None:
        return refusal(_parse, text) if len(text) <= MAX_CHARS and _MEANT.match(bare(text)) else None

    def natural_size(self, text: str) -> NetworkSize:
        del text
        return SIZE

    def read(self, text: str, size: NetworkSize) -> Network:
        """As many channels as the string says unless ``size`` says otherwise. Raises NATError."""
        channels, modules, digits = _parse(text)
        if size.cells not in (None, BLOCKS * len(modules)):
            raise NATError(f"cells: the string has {len(modules)} modules of {BLOCKS} cells; leave 'cells' out")
        width = size.channels or channels
        if width % 2:
            raise NATError(f"channels: the stem of TransNAS-Bench-101 needs an even number, not {width}")
        placements, stem = _placements(width, modules), _stem(width, size.input)
        origin = Origin(self.name, self.version, text)
        return Network(((CELL, _cell(digits)),), placements, stem, Head(size.classes), size.input, origin)

    def write(self, network: Network) -> str:
        """With everything but the ops as in the text that the network was read from. NATError for anything but a cell
        of this space."""
        digits = digits_of(network)
        if network.origin is None or network.origin.format != self.name:
            if network.placements != _placements(CHANNELS, MODULES):
                raise NATError("a TransNAS-Bench-101 string cannot represent this network: its cells stand elsewhere")
            return from_ops(digits)
        text = network.origin.payload
        return text.replace(bare(text), f"{bare(text).rpartition('-')[0]}-{_spell(digits)}")

    def published(self) -> Mapping[str, Published]:
        return {"TransNAS_Example": Published(FORM, "yawen-d/TransNASBench 14661835863d README.md")}


def from_ops(digits: Sequence[str], modules: str = MODULES) -> str:
    """The string of a cell from the digits of its edges, in the order of ``ENDS``."""
    return f"{CHANNELS}-{modules}-{_spell(digits)}"


def digits_of(network: Network) -> str:
    """The reverse. NATError if it is no cell of this space."""
    cell = network.by_name.get(CELL)
    ends = tuple((edge.source, edge.target) for edge in cell.edges) if cell else ()
    if cell is None or (cell.inputs, len(cell.nodes), cell.output) != (1, 3, (3,)) or ends != ENDS:
        raise NATError(
            f"a TransNAS-Bench-101 string cannot represent this network: it has no cell '{CELL}' of four nodes"
        )
    for edge in cell.edges:
        if edge.op not in OPS:
            known = ", ".join(map(str, OPS))
            raise NATError(f"a TransNAS-Bench-101 string cannot represent '{edge.op}' ({edge.key}); it has {known}")
    return "".join(str(OPS.index(edge.op)) for edge in cell.edges)


def _spell(digits: Sequence[str]) -> str:
    a, b, c, d, e, f = digits
    return f"{a}_{b}{c}_{d}{e}{f}"


def _parse(text: str) -> tuple[int, str, str]:
    """Channels, modules, digits of the edges."""
    string = bare(text) if len(text) <= MAX_CHARS else ""
    found = _WHOLE.fullmatch(string)
    if found is None:
        raise NATError(f"a TransNAS-Bench-101 string is {FORM}: channels, modules, cell; not {text[:40]!r}")
    channels, modules, *ops = found.groups()
    if "2" in modules:
        raise NATError(
            "module 2 of TransNAS-Bench-101 (more channels at the same resolution) is not read; 1, 3 and 4 are"
        )
    if not int(channels) or len(modules) > MAX_MODULES:
        raise NATError(
            f"a TransNAS-Bench-101 string has 1 channel or more and up to {MAX_MODULES} modules: {string[:40]!r}"
        )
    return int(channels), modules, "".join(ops)


@lru_cache(maxsize=4**6)
def _cell(digits: str) -> Cell:
    return Cell(1, _NODES, tuple([edges[int(digit)] for edges, digit in zip(_EDGES, digits, strict=True)]), (3,))


@lru_cache(maxsize=64)
def _placements(channels: int, modules: str) -> tuple[Placement, ...]:
    found: list[Placement] = []
    width = channels
    for module in modules:
        width *= 2 if module == "4" else 1
        for block in range(BLOCKS):
            down = int(module != "1" and block == 0)
            found.append(Placement(CELL, width, (len(found),), down))
    return tuple(found)


@lru_cache(maxsize=64)
def _stem(channels: int, image: Shape) -> tuple[tuple[Layer, ...], ...]:
    """Two halvings; for small images none, as automl/NASLib has it."""
    if image[1] < LARGE_INPUT:
        return cifar_stem(image[0], channels)
    half, two = channels // 2, (2, 2)
    first = (Conv(image[0], half, (3, 3), two), Norm(half))
    return ((*first, Act(), Conv(half, channels, (3, 3), two), Norm(channels)),)
