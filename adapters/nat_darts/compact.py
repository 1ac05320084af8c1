"""Cells of DARTS as NASLib and NAS-Bench-301 pass them around: pairs (source, op), two for each node, in two tuples.

All inner nodes are in the output. Numbers of the ops: automl/NASLib, search space ``nasbench301`` (``conversions``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from nat_darts.entries import INPUTS, MAX_NODES
from nat_darts.ops import OPS
from nat_darts.skeleton import CELL_NAMES, around
from nat_plugin import Adapter, NATError
from nat_plugin.extending import Literal, Patches, parse_literal, refusal
from nat_plugin.ir import Cell, Edge, Network, NetworkSize, Node, Origin, at_level

NAMES = (
    *("max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"),
)
"""In the order of their numbers."""
CHOICES = tuple(OPS[name] for name in NAMES)
FORM = "(((source, op), … two for each node), ((source, op), …)), the normal cell and then the reduction cell"
MAX_CHARS = 20_000
PER_NODE = 2
_SHAPE = re.compile(r"[\[(]\s*[\[(]\s*[\[(](?:[\d\s,()\[\]]|(?:np|numpy)\.int\d+)*")
_NESTED = re.compile(r"[\s'\"]*[\[(]\s*[\[(]\s*[\[(]\s*\d")
_WITHIN = re.compile(r"(?<![\w.])[\[(]{3}\d+, ?\d+[\])]")


class CompactAdapter(Adapter):
    """Cells of DARTS in numbers."""

    name = "darts-compact"
    summary = "DARTS cells as tuples of NASLib and NAS-Bench-301: (((0, 3), (1, 5), …), ((1, 0), …)), source and op"
    version = "1"

    def recognises(self, text: str) -> bool:
        return len(text) <= MAX_CHARS and _SHAPE.fullmatch(_literal(text)) is not None

    def near(self, text: str) -> str | None:
        if _NESTED.match(text):
            return refusal(lambda text: self.read(text, NetworkSize()), text)
        return "cells in numbers are read alone; leave out what is around them" if _WITHIN.search(text) else None

    def read(self, text: str, size: NetworkSize) -> Network:
        """Around the cells stands the network of DARTS, as for genotypes. Raises NATError that names cell and pair."""
        if len(text) > MAX_CHARS:
            raise NATError(f"the text has {len(text):,} characters; the compact form of a DARTS cell is shorter")
        value = parse_literal(_literal(text))
        if not isinstance(value, list | tuple) or len(value) != len(CELL_NAMES):
            raise NATError(f"the compact form of DARTS cells is {FORM}")
        normal, reduce = (_cell(pairs, name) for name, pairs in zip(CELL_NAMES, value, strict=True))
        return around(normal, at_level(reduce, 1), size, Origin(self.name, self.version, text))

    def write(self, network: Network) -> str:
        """In the layout of the text that the network was read from. NATError for null, for other ops, and for cells
        that have not two edges for each node and all nodes in the output."""
        numbers = [_numbers(network, name) for name in CELL_NAMES]
        if network.origin is None or network.origin.format != self.name:
            return repr(tuple(tuple(pairs) for pairs in numbers))
        text = network.origin.payload
        start = text.index(_literal(text))
        patches, before = Patches(text, start, start + len(_literal(text))), self.read(text, NetworkSize())
        for at, (name, pairs) in enumerate(zip(CELL_NAMES, numbers, strict=True)):
            for number, (was, now) in enumerate(zip(_numbers(before, name), pairs, strict=True)):
                if was != now:
                    place = (at, number, 1)
                    old = patches.source(place)
                    patches.put(place, f"{old[: old.rfind('(') + 1]}{now[1]}{')' * old.endswith(')')}")
        return patches.render()


def _literal(text: str) -> str:
    return text.strip(" \t\r\n'\"")


def _cell(pairs: Literal, name: str) -> Cell:
    if not isinstance(pairs, list | tuple) or not pairs or len(pairs) % PER_NODE:
        raise NATError(f"{name} cell: expected {PER_NODE} pairs (source, op) for each node; the form is {FORM}")
    if len(pairs) > PER_NODE * MAX_NODES:
        raise NATError(f"{name} cell: {len(pairs):,} pairs are too many; at most {PER_NODE * MAX_NODES} are read")
    edges = []
    for number, pair in enumerate(pairs):
        target = INPUTS + number // PER_NODE
        where = f"{name} cell, pair {number}"
        if not isinstance(pair, list | tuple) or [type(each) for each in pair] != [int, int]:
            raise NATError(f"{where}: expected (source, op), two numbers, not {pair!r:.60}")
        source, op = pair
        assert isinstance(source, int)
        assert isinstance(op, int)
        if not 0 <= source < target:
            raise NATError(f"{where}: node {target} cannot read node {source:.0f}; it has 0 to {target - 1} before it")
        if not 0 <= op < len(NAMES):
            listed = ", ".join(f"{at} {each}" for at, each in enumerate(NAMES))
            raise NATError(f"{where}: there is no op {op:.0f}; allowed: {listed}")
        edges.append(Edge(source, target, CHOICES[op], f"{name}/{number}", CHOICES))
    nodes = len(pairs) // PER_NODE
    return Cell(INPUTS, (Node(),) * nodes, tuple(edges), tuple(range(INPUTS, INPUTS + nodes)), project=True)


def _numbers(network: Network, name: str) -> Sequence[tuple[int, int]]:
    cell, level = network.by_name.get(name), CELL_NAMES.index(name)
    targets = [INPUTS + at // PER_NODE for at in range(PER_NODE * len(cell.nodes))] if cell else []
    if (
        cell is None
        or cell.inputs != INPUTS
        or not cell.project
        or any(node != Node(level) for node in cell.nodes)
        or [edge.target for edge in cell.edges] != targets
        or cell.output != tuple(range(INPUTS, INPUTS + len(cell.nodes)))
    ):
        raise NATError(
            f"the compact form cannot represent cell '{name}': it has two edges for each node and every node in the "
            "output"
        )
    for edge in cell.edges:
        if edge.op not in CHOICES:
            raise NATError(
                f"the compact form cannot represent '{edge.op}' ({edge.key}); it has {', '.join(NAMES)}; --extended "
                "(or convert --to network) writes network JSON, which can"
            )
    return [(edge.source, CHOICES.index(edge.op)) for edge in cell.edges]
