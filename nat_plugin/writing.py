"""Writing a transformed network back into its format, and holding what was written to what was promised."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from nat_plugin.adapter import Adapter
from nat_plugin.errors import NATError
from nat_plugin.ir import NULL, Moves, Network, NetworkSize, canonical, same
from nat_plugin.network_json import NetworkJSON


def extended(network: Network) -> Network:
    """The network with null among the choices of every editable edge, whatever its format can say."""
    cells = []
    for name, cell in network.cells:
        edges = tuple(
            replace(edge, choices=(*edge.choices, NULL)) if edge.editable and NULL not in edge.choices else edge
            for edge in cell.edges
        )
        cells.append((name, replace(cell, edges=edges)))
    return network.with_cells(cells)


def write_back(adapter: Adapter, moves: Moves, network: Network, size: NetworkSize) -> str:
    """The text of a transformed network: without its dead operations, which frameworks build all the same; as it came
    where it is unmoved and nothing limits it, or where the format cannot leave them out.

    Ensures, by reading the text back: same computation, legal moves only, within every limit. Raises NATError
    otherwise, or where the format cannot say the result.
    """
    moves.verify(network)
    text = adapter.write(canonical(network)) if network.ops != moves.network.ops else _unmoved(adapter, moves, network)
    written = adapter.read(text, size)
    if not same(written, network):
        raise NATError(f"adapter '{adapter.name}' wrote an architecture that computes something else; please report it")
    broken = moves.limits.broken(written)
    if broken:
        raise NATError(f"the written architecture breaks the budget: {'; '.join(broken)}")
    return text


def _unmoved(adapter: Adapter, moves: Moves, network: Network) -> str:
    if moves.limits.values:
        with suppress(NATError):  # a format without null
            return adapter.write(canonical(network))
    return adapter.write(network)


def result_adapter(adapter: Adapter, is_extended: bool) -> Adapter:
    """Who writes the result: the extended form goes into network JSON."""
    return NetworkJSON() if is_extended else adapter


def translate(network: Network, adapter: Adapter, size: NetworkSize) -> str:
    """The architecture of a network in a format, perhaps another than it came from. Else NATError.

    Formats differ in the size that they take where ``size`` leaves it open, so what was written is read back at the
    size of ``network`` too.
    """
    text = adapter.write(network)
    if not same(adapter.read(text, size), network):
        own = NetworkSize(network.placements[0].channels, len(network.placements), network.input, network.head.classes)
        if not same(adapter.read(text, own), network):
            raise NATError(
                f"format '{adapter.name}' cannot represent this architecture: what it reads back computes something "
                "else"
            )
    return text
