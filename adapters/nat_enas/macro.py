"""ENAS macro strings: for each layer its op and one bit for every skip connection that it could have.

The network has the form that ENAS trains in the end (melodyguan/enas ``general_child.py``, ``_fixed_layer``), in one
cell: ``B_i`` is the branch of layer i, ``L_i`` the pointwise convolution over the concatenation of that branch and the
chosen earlier tensors, written as the sum of each source's share, with a norm. After one and two thirds of the layers
every tensor so far passes a factorized reduction to twice the filters, once for all of its later uses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from nat_enas.integers import is_mostly_integers, read_integers, with_integers
from nat_enas.ops import MACRO, MERGE, REDUCE
from nat_enas.published import published
from nat_plugin import Adapter, NATError
from nat_plugin.extending import Published, refusal
from nat_plugin.ir import NULL, Cell, Edge, Head, Network, NetworkSize, Node, Origin, Placement, cifar_stem

FILTERS = 96
"""``scripts/cifar10_macro_final.sh`` of melodyguan/enas."""
MAX_LAYERS = 64
_NASLIB = re.compile(r"[\s'\"]*[\[(]\s*\d+(?:\s*,\s*\d+){5}[\s,]*[\])][\s'\"]*")


@dataclass(frozen=True)
class MacroLayer:
    """The op of a layer, and a bit for each tensor before the last one: the stem, then the layers in order."""

    op: int
    bits: tuple[int, ...]


class EnasMacroAdapter(Adapter):
    """Macro search space: a whole network as rows of integers."""

    name = "enas-macro"
    summary = "ENAS macro strings: for each layer its op, then one bit for each earlier tensor (1: a skip connection)"
    version = "1"

    def recognises(self, text: str) -> bool:
        """Six integers in brackets with commas, which could be three layers, are NASLib's cell of NAS-Bench-201."""
        return refusal(_read, text) is None and _NASLIB.fullmatch(text) is None

    def near(self, text: str) -> str | None:
        return refusal(_read, text) if is_mostly_integers(text) else None

    def read(self, text: str, size: NetworkSize) -> Network:
        """The network has 96 filters unless ``size`` says otherwise, and as many layers as the string. Raises NATError
        that names the layer."""
        layers = _read(text)
        if size.cells is not None and size.cells != len(layers):
            raise NATError(f"cells: a macro string says its own depth, here {len(layers)}; leave 'cells' out")
        filters = size.channels or FILTERS
        origin = Origin(self.name, self.version, text)
        stem, head = cifar_stem(size.input[0], filters), Head(size.classes)
        placement = Placement("network", filters, (0,))
        return Network((("network", _cell(layers, filters)),), (placement,), stem, head, size.input, origin)

    def write(self, network: Network) -> str:
        """In the layout of the text that the network was read from. NATError for a network from elsewhere, and for an
        op that the integers cannot say."""
        if network.origin is None or network.origin.format != self.name:
            raise NATError("a macro string can only be written for a network that was read from one")
        cell = network.by_name.get("network")
        by_key = {edge.key: edge for edge in cell.edges} if cell else {}
        values: list[int] = []
        for number, layer in enumerate(_read(network.origin.payload)):
            for key in (f"op/{number}", *(f"skip/{number}/{source}" for source in range(len(layer.bits)))):
                if key not in by_key:
                    raise NATError(f"the network has no edge '{key}', which the macro string that it came from has")
                values.append(_value(by_key[key]))
        return with_integers(network.origin.payload, values)

    def published(self) -> Mapping[str, Published]:
        return published("macro")


def _read(text: str) -> list[MacroLayer]:
    values = read_integers(text)
    layers: list[MacroLayer] = []
    while values:
        number = len(layers)
        if len(values) <= number:
            raise NATError(
                f"layer {number} has {len(values)} integers instead of {number + 1}: a macro string has for each layer "
                "its op and then a bit for each layer before it, 1 + 2 + 3 + … integers"
            )
        op, bits, values = values[0], values[1 : number + 1], values[number + 1 :]
        if op >= len(MACRO):
            named = ", ".join(f"{at} {str(each).removeprefix('enas_')}" for at, each in enumerate(MACRO))
            raise NATError(f"layer {number}: there is no op {op}; allowed: {named}")
        wrong = [bit for bit in bits if bit > 1]
        if wrong:
            raise NATError(f"layer {number}: a skip connection is 0 or 1, not {wrong[0]}")
        if number == MAX_LAYERS:
            raise NATError(f"more than {MAX_LAYERS} layers are not read")
        layers.append(MacroLayer(op, tuple(bits)))
    return layers


def _cell(layers: list[MacroLayer], filters: int) -> Cell:
    third = len(layers) // 3
    halvings = {third - 1, 2 * third - 1}
    nodes: list[Node] = []
    edges: list[Edge] = []
    tensors = [0]
    level = 0

    def node(norm: bool = False) -> int:
        nodes.append(Node(level, filters * 2**level, norm))
        return len(nodes)

    for number, layer in enumerate(layers):
        last = node()
        edges.append(Edge(tensors[-1], last, MACRO[layer.op], f"op/{number}", MACRO))
        if number:
            branch, last = last, node(norm=True)
            edges.append(Edge(branch, last, MERGE, f"merge/{number}"))
            for at, bit in enumerate(layer.bits):
                edges.append(Edge(tensors[at], last, MERGE if bit else NULL, f"skip/{number}/{at}", (MERGE, NULL)))
        tensors.append(last)
        if number in halvings:
            level += 1
            sources, tensors = tensors, [node() for _ in tensors]
            pairs = zip(sources, tensors, strict=True)
            edges += [Edge(source, copy, REDUCE, f"reduce/{number}/{at}") for at, (source, copy) in enumerate(pairs)]
    return Cell(1, tuple(nodes), tuple(edges), (tensors[-1],))


def _value(edge: Edge) -> int:
    """The integer that says an edge's op."""
    if edge.key.startswith("skip/") and edge.op in (NULL, MERGE):
        return int(edge.op == MERGE)
    if edge.key.startswith("op/") and edge.op in MACRO:
        return MACRO.index(edge.op)
    raise NATError(
        f"a macro string cannot represent '{edge.op}' ({edge.key}); --extended (or convert --to network) writes "
        "network JSON, which can"
    )
