"""Documents as networks of the IR, and networks that were moved as documents."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from nat_plugin import NATError
from nat_plugin.ir import Cost, Network, Origin, Shape, cost
from nat_timm.documents.document import Document, parse
from nat_timm.documents.edits import ADAPTATIONS, Edit

if TYPE_CHECKING:
    from nat_timm.moves.network import Reading

FORMAT = "timm"
_VERSION = "1"


def adaptations(found: Document) -> Document:
    """The base: the model as it was before any move, with the strides and widths that it was given."""
    return found.with_edits(tuple(edit for edit in found.edits if edit.op in ADAPTATIONS))


def reading_of(found: Document, input: Shape, classes: int) -> Reading:
    """What the base of a document is, and what may become of it. Of a block that is one edge with many settings not all
    are choices; what a document says is among them."""
    base, made = adaptations(found), frozenset(edit for edit in found.edits if edit.op not in ADAPTATIONS)
    reading = _read(base, input, classes)
    return _read(base, input, classes, made) if found.fits and not reading.can_say(made) else reading


def network_of(found: Document, reading: Reading, text: str) -> Network:
    moves = tuple(edit for edit in found.edits if edit.op not in ADAPTATIONS)
    network = reading.network.with_ops(reading.ops(moves, found.architecture)) if moves else reading.network
    return replace(network, origin=Origin(FORMAT, _VERSION, text))


def reading_for(network: Network) -> tuple[Document, Reading]:
    """The document that a network was read from, and what could become of it."""
    if network.origin is None or network.origin.format != FORMAT:
        raise NATError("only networks that were read from a timm model can be written as one")
    found = parse(network.origin.payload)
    return found, reading_of(found, network.input, network.head.classes)


def unmoved(network: Network) -> Network:
    """The model as it was before any move."""
    return replace(reading_for(network)[1].network, origin=network.origin)


def moved_document(network: Network) -> Document:
    """The document of a network that was read from a timm model and perhaps moved."""
    found, reading = reading_for(network)
    moves = reading.edits(network)
    moved = found.with_edits((*adaptations(found).edits, *moves))
    return found if set(moved.edits) == set(found.edits) else moved


@lru_cache(maxsize=16)
def _read(base: Document, input: Shape, classes: int, made: frozenset[Edit] = frozenset()) -> Reading:
    import torch

    from nat_timm.building.build import build
    from nat_timm.moves.network import read
    from nat_timm.reading.trace import trace

    with torch.random.fork_rng(devices=[]):  # else what is drawn next would depend on whether this was read before
        model = build(base, input, classes, device="meta")
        return read(trace(model, input, base.architecture), classes, base.architecture, base.fits, made)


def counted(network: Network) -> Cost:
    """Parameters and MACs of the model that timm builds from a network, counted on the meta device."""
    from nat_plugin.nets import count
    from nat_timm.building.build import build

    model = build(moved_document(network), network.input, network.head.classes, device="meta")
    return count(model, network.input)


def check_costs(network: Network) -> None:
    """NATError if a network does not cost what counting says."""
    said, found = cost(network), counted(network)
    if said != found:
        raise NATError(f"the model has {found}, the network says {said}; please report it")
