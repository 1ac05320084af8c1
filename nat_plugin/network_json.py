"""The IR's own JSON as a format: it can say everything, null edges of any format too."""

from __future__ import annotations

from nat_plugin.adapter import Adapter
from nat_plugin.ir import Network, NetworkSize, from_json, to_json


def is_network(text: str) -> bool:
    """Whether a text is a network as JSON, in which the text that it came from may stand as a string."""
    return text.lstrip().startswith("{") and '"nat-network"' in text


class NetworkJSON(Adapter):
    """Networks as ``nat convert … --to network`` and ``--extended`` write them. The size is in the file."""

    name = "network"
    summary = "the JSON form of the cell IR"

    def recognises(self, text: str) -> bool:
        return is_network(text)

    def read(self, text: str, size: NetworkSize) -> Network:
        del size
        return from_json(text)

    def write(self, network: Network) -> str:
        return to_json(network, indent=None)
