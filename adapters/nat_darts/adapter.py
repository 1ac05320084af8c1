"""The adapter of DARTS genotypes: text to networks and back, in the dialects of DARTS, NAT and FairDARTS."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files

from nat_darts.cells import parse
from nat_darts.document import read_document
from nat_darts.locating import mentions_one
from nat_darts.skeleton import around
from nat_darts.writing import fresh, genotype_cells, rewritten
from nat_plugin import Adapter
from nat_plugin.extending import Published, refusal
from nat_plugin.ir import Network, NetworkSize, Origin

_MARKS = re.compile(r"normal_concat|(?:sep|dil)_conv_\d|\bgenotype", re.IGNORECASE)


class DartsAdapter(Adapter):
    """Genotypes: a normal and a reduction cell, as text of a Python call, dict or JSON."""

    name = "darts"
    summary = "DARTS genotypes: Genotype(normal=[(op, source), …], …), the triples of NAT and FairDARTS, JSON"
    version = "1"

    def recognises(self, text: str) -> bool:
        return mentions_one(text)

    def near(self, text: str) -> str | None:
        return refusal(read_document, text) if _MARKS.search(text) else None

    def read(self, text: str, size: NetworkSize) -> Network:
        """Around the cells stands the network in which DARTS trains them, of 36 channels and 20 cells, or from 128
        pixels on of 48 channels and 14 cells, unless ``size`` says otherwise. Raises NATError that names the field
        and the entry."""
        cells = parse(read_document(text)).cells()
        return around(cells["normal"], cells["reduce"], size, Origin(self.name, self.version, text))

    def write(self, network: Network) -> str:
        """In the form and dialect in which the network was read; one from another format as stock pairs if they can
        say it, else as NAT's triples.

        A null edge is written as ``none`` or ``null`` with its source (FairDARTS leaves it out). NATError for a network
        without cells of the DARTS kind, or with an op that the dialect has no name for.
        """
        cells = genotype_cells(network)
        if network.origin is None or network.origin.format != self.name:
            return fresh(cells)
        return rewritten(parse(read_document(network.origin.payload)), cells)

    def published(self) -> Mapping[str, Published]:
        return _published()


@lru_cache(maxsize=1)
def _published() -> Mapping[str, Published]:
    table = json.loads(files("nat_darts").joinpath("published.json").read_text(encoding="utf-8"))
    return {name: Published(entry["text"], entry["origin"]) for name, entry in table.items()}
