"""NAS-Bench-Macro strings, one digit a layer, and the network of that benchmark.

Source: ``train/model.py`` of xiusu/NAS-Bench-Macro. A 3x3 stem of 32 channels, eight layers in three stages, of which
the first of each halves the resolution and doubles the channels, then a pointwise convolution to 1280 channels.
"""

from __future__ import annotations

from collections.abc import Mapping

from nat_nasbench.ops import MACRO
from nat_nasbench.texts import bare
from nat_plugin import Adapter, NATError
from nat_plugin.extending import Published, refusal
from nat_plugin.ir import Act, Cell, Conv, Edge, Head, Network, NetworkSize, Node, Norm, Origin, Placement, cifar_stem

CHANNELS, FEATURES = 32, 1280
STAGES = (2, 3, 3)
LAYERS = sum(STAGES)
CELL = "network"
DIGITS = "012"

_EDGES = tuple(
    {digit: Edge(at, at + 1, op, f"{at}", MACRO) for digit, op in zip(DIGITS, MACRO, strict=True)}
    for at in range(LAYERS)
)
_LEVELS = tuple(level for level, layers in enumerate(STAGES, start=1) for _ in range(layers))


class NASBenchMacroAdapter(Adapter):
    """Networks of NAS-Bench-Macro."""

    name = "nasbench-macro"
    summary = "NAS-Bench-Macro strings of 8 digits: 0 identity, 1 kernel 3 and expansion 3, 2 kernel 5 and expansion 6"
    version = "1"

    def recognises(self, text: str) -> bool:
        return refusal(_parse, text) is None

    def near(self, text: str) -> str | None:
        return refusal(_parse, text) if bare(text).isdecimal() else None

    def read(self, text: str, size: NetworkSize) -> Network:
        """The network has 32 channels unless ``size`` says otherwise. All layers are one cell, so that networks which
        differ only in where in a stage their identities stand are known to be the same. Raises NATError that names the
        layer."""
        digits = _parse(text)
        if size.cells not in (None, LAYERS):
            raise NATError(f"cells: a NAS-Bench-Macro network has {LAYERS} layers; leave 'cells' out")
        channels = size.channels or CHANNELS
        edges = tuple([known[digit] for known, digit in zip(_EDGES, digits, strict=True)])
        cell = Cell(1, tuple([Node(level, channels * 2**level) for level in _LEVELS]), edges, (LAYERS,))
        (first,) = cifar_stem(size.input[0], channels)
        head = Head(size.classes, (Conv(channels * 2 ** len(STAGES), FEATURES), Norm(FEATURES), Act()))
        placement = Placement(CELL, channels, (0,))
        origin = Origin(self.name, self.version, text)
        return Network(((CELL, cell),), (placement,), ((*first, Act()),), head, size.input, origin)

    def write(self, network: Network) -> str:
        """With what stood around the digits of the text that the network was read from. NATError for anything but a
        network of this space."""
        digits = digits_of(network)
        if network.origin is None or network.origin.format != self.name:
            return digits
        return network.origin.payload.replace(bare(network.origin.payload), digits)

    def published(self) -> Mapping[str, Published]:
        origin = "xiusu/NAS-Bench-Macro 86080819c5b7 train/train.py"
        return {"NBMacro_MB3_K3": Published("1" * LAYERS, origin)}


def digits_of(network: Network) -> str:
    """The digits of a network's layers. NATError if it is no network of this space."""
    cell = network.by_name.get(CELL)
    ends = tuple((edge.source, edge.target) for edge in cell.edges) if cell else ()
    if cell is None or ends != tuple((number, number + 1) for number in range(LAYERS)):
        raise NATError(f"a NAS-Bench-Macro string cannot represent this network: it is not a chain of {LAYERS} layers")
    for number, edge in enumerate(cell.edges):
        if edge.op not in MACRO:
            known = ", ".join(map(str, MACRO))
            raise NATError(f"a NAS-Bench-Macro string cannot represent '{edge.op}' at layer {number}; it has {known}")
    return "".join(DIGITS[MACRO.index(edge.op)] for edge in cell.edges)


def _parse(text: str) -> str:
    digits = bare(text)
    if len(digits) != LAYERS:
        raise NATError(f"a NAS-Bench-Macro string has {LAYERS} digits, as in 11111111, not {len(digits):,} characters")
    for number, digit in enumerate(digits):
        if digit not in DIGITS:
            raise NATError(f"layer {number}: there is no block {digit!r}; allowed: {', '.join(DIGITS)}")
    return digits
