"""A genotype's meaning: its entries, its dialect, and the two cells of the IR that it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from nat_darts.document import GenotypeText
from nat_darts.entries import INPUTS, CellEntries, EntryForm, read_concat, read_entries
from nat_darts.ops import NAT, NULLS, OPS, STOCK, Dialect
from nat_darts.skeleton import CELL_NAMES
from nat_plugin import NATError
from nat_plugin.ir import Cell, Edge, Node, at_level, live


@dataclass(frozen=True)
class Genotype:
    """A document with its entries and output nodes by cell."""

    document: GenotypeText
    entries: Mapping[str, CellEntries]
    concat: Mapping[str, tuple[int, ...]]

    @cached_property
    def used(self) -> frozenset[str]:
        """The op names that stand in it."""
        return frozenset(entry.op for entries in self.entries.values() for entry in entries.entries)

    @cached_property
    def dialect(self) -> Dialect:
        """NAT's for its triples and its ops, else stock. (``none`` is no op of NAT's, so triples with it are stock.)"""
        if "null" in self.used or self.used & {*NAT.names} - {*STOCK.names}:
            return NAT
        triples = any(entries.form is EntryForm.TRIPLES for entries in self.entries.values())
        return NAT if triples and "none" not in self.used else STOCK

    @cached_property
    def null(self) -> str | None:
        """How it writes a null edge; None: by leaving the entry out, as FairDARTS does."""
        for name in NULLS:
            if name in self.used:
                return name
        if any(entries.form is EntryForm.FAIR for entries in self.entries.values()):
            return None
        return "null" if self.dialect is NAT else "none"

    def cells(self) -> dict[str, Cell]:
        """The cells, every edge with its choices. NATError if one has no path from its inputs to its output."""
        found: dict[str, Cell] = {}
        for level, name in enumerate(CELL_NAMES):
            edges = []
            for index, entry in enumerate(self.entries[name].entries):
                op = OPS[entry.op]
                choices = self.dialect.choices(self.used, stride=2 if level and entry.source < INPUTS else 1)
                choices = choices if op in choices else (*choices, op)
                edges.append(Edge(entry.source, entry.target, op, f"{name}/{index}", choices))
            nodes = (Node(),) * self.entries[name].nodes
            found[name] = at_level(Cell(INPUTS, nodes, tuple(edges), self.concat[name], project=True), level)
            if not live(found[name]).output:
                raise NATError(f"{name}: no operation leads from an input of the cell to a node of {name}_concat")
        return found


def parse(document: GenotypeText) -> Genotype:
    """Raises NATError that names the field and the entry."""
    concat = {name: read_concat(document.values[f"{name}_concat"], f"{name}_concat") for name in CELL_NAMES}
    entries = {name: read_entries(document.values[name], name, concat[name]) for name in CELL_NAMES}
    forms = [entries[name].form for name in CELL_NAMES]
    if set(forms) == {EntryForm.TRIPLES, EntryForm.FAIR}:
        raise NATError(f"normal has entries {forms[0].value}, reduce has {forms[1].value}; write one order in both")
    genotype = Genotype(document, entries, concat)
    if genotype.used.issuperset(NULLS):
        raise NATError("the genotype writes both 'none' and 'null'; write one of them")
    return genotype
