"""The list of operations of one cell, in every form in which the DARTS family writes it.

Pairs ``(op, source)`` name no node: DARTS means two for each node in order, some descendants another constant number.
Triples name it: NAT writes ``(op, source, node)``, FairDARTS ``(op, node, source)`` and leaves missing edges out. Lists
nested per node hold pairs. A pair may have a third member that names no node: the weight with which a search chose it,
or an empty string. Nodes 0 and 1 are the inputs of the cell.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from nat_darts.ops import NULLS, OPS
from nat_plugin import NATError
from nat_plugin.extending import Literal, LiteralPath, Patches

INPUTS = 2
MAX_NODES = 64
MAX_ENTRIES = 1024
_RANGE = re.compile(r"(?:(list|tuple)\s*\(\s*)?range\s*\(")


class EntryForm(Enum):
    """How the entries of a cell stand in the text."""

    PAIRS = "(op, source)"
    TRIPLES = "(op, source, node)"
    FAIR = "(op, node, source)"
    NESTED = "[[(op, source), …], …]"


@dataclass(frozen=True)
class Entry:
    """One operation: its name, from which node, to which."""

    op: str
    source: int
    target: int


@dataclass(frozen=True)
class CellEntries:
    """The entries of a cell in the order of the text, their form, and the number of inner nodes."""

    form: EntryForm
    entries: tuple[Entry, ...]
    nodes: int
    paths: tuple[LiteralPath, ...]
    """Where each stands in its list."""


def read_concat(value: Literal, field: str) -> tuple[int, ...]:
    """The nodes whose outputs are concatenated. Raises NATError for anything but distinct inner nodes."""
    if isinstance(value, range):
        value = list(value[: MAX_NODES + 1])
    if not isinstance(value, list | tuple):
        raise NATError(f"{field}: expected a list of nodes such as [2, 3, 4, 5] or range(2, 6), not {value!r:.60}")
    if not value:
        raise NATError(f"{field} is empty; a cell needs at least one node in its output")
    nodes: list[int] = []
    for index, node in enumerate(value[: MAX_NODES + 1]):
        nodes.append(_node(node, f"{field} item {index}"))
        if not INPUTS <= nodes[-1] < INPUTS + MAX_NODES:
            raise NATError(f"{field} item {index}: node {node} is not one of the inner nodes 2 to {MAX_NODES + 1}")
        if nodes[-1] in nodes[:-1]:
            raise NATError(f"{field} item {index}: node {node} is listed twice")
    return tuple(nodes)


def read_entries(value: Literal, field: str, concat: tuple[int, ...]) -> CellEntries:
    """The entries of a cell. Raises NATError that names the field and the entry."""
    if not isinstance(value, list | tuple):
        raise NATError(f"{field}: expected a list of entries such as ('sep_conv_3x3', 0), not {value!r:.60}")
    if not value:
        raise NATError(f"{field} is empty; expected entries such as ('sep_conv_3x3', 0)")
    if len(value) > MAX_ENTRIES:
        raise NATError(f"{field} has {len(value):,} entries; at most {MAX_ENTRIES:,} are read")
    if all(isinstance(item, list | tuple) and not (item and isinstance(item[0], str)) for item in value):
        return _nested(value, field, concat)
    parsed = [_parts(item, field, index) for index, item in enumerate(value)]
    sizes = {len(numbers) for _, numbers in parsed}
    if len(sizes) > 1:
        odd = next(i for i, (_, numbers) in enumerate(parsed) if len(numbers) != len(parsed[0][1]))
        raise NATError(f"{field} entry {odd}: pairs and triples are mixed ({value[odd]!r:.60})")
    return _triples(parsed, field, concat) if sizes == {2} else _pairs(parsed, field, concat)


def put_ops(patches: Patches, at: LiteralPath, entries: CellEntries, ops: Sequence[str | None]) -> None:
    """Give the entries of the list at ``at`` other op names; an entry whose name is None is left out."""
    for path, entry, name in zip(entries.paths, entries.entries, ops, strict=True):
        if name is not None and name != entry.op:
            place = (*at, *path, 0)
            source = patches.source(place)
            alone = source.count(entry.op) == 1
            patches.put(place, source.replace(entry.op, name) if alone else json.dumps(name))
    if None in ops:
        patches.keep(at, [position for position, name in enumerate(ops) if name is not None])


def put_concat(patches: Patches, at: LiteralPath, value: Literal, output: Sequence[int]) -> None:
    """Give a concat field other nodes, in the same container (a range only if it still is one)."""
    assert isinstance(value, list | tuple | range)
    new, old = list(output), list(value)
    if new == old:
        return
    match = _RANGE.match(patches.source(at))
    if match is None and [node for node in old if node in new] == new:
        patches.keep(at, [position for position, node in enumerate(old) if node in new])
    elif match and new == list(range(new[0], new[-1] + 1)):
        around, end = (match[1] + "(", ")") if match[1] else ("", "")
        patches.put(at, f"{around}range({new[0]}, {new[-1] + 1}){end}")
    else:
        patches.put(at, repr(tuple(new) if isinstance(value, tuple) else new))


def _node(value: Literal, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > 10**6:
        raise NATError(f"{where}: {value!r:.60} is not the number of a node")
    return value


def _parts(item: Literal, field: str, index: int) -> tuple[str, list[int]]:
    """The op name of an entry and its one or two nodes."""
    where = f"{field} entry {index}"
    if not isinstance(item, list | tuple) or len(item) not in (2, 3):
        raise NATError(f"{where}: expected ('sep_conv_3x3', 0) or ('sep_conv_3x3', 0, 2), not {item!r:.60}")
    op, nodes = item[0], item[1:]
    if not isinstance(op, str) or op not in OPS:
        raise NATError(
            f"{where}: unknown op {op!r:.60}; allowed: {', '.join(OPS)}; a plugin can add it with its layers "
            "(docs/how-to/own-op.md)"
        )
    if len(nodes) == 2 and (isinstance(nodes[1], float) or nodes[1] == ""):
        nodes = nodes[:1]
    elif len(nodes) == 2 and isinstance(nodes[1], str):
        raise NATError(f"{where}: {nodes[1]!r:.60} is a second operation on the same edge; one on each is read")
    return op, [_node(node, where) for node in nodes]


def _check_edge(entry: Entry, field: str, index: int) -> Entry:
    where = f"{field} entry {index}"
    if not INPUTS <= entry.target < INPUTS + MAX_NODES:
        raise NATError(f"{where}: node {entry.target} is not one of the inner nodes 2 to {MAX_NODES + 1}")
    if not 0 <= entry.source < entry.target:
        allowed = f"0 to {entry.target - 1}"
        raise NATError(f"{where}: node {entry.target} cannot read node {entry.source}; it has {allowed} before it")
    return entry


def _flat(count: int) -> tuple[LiteralPath, ...]:
    return tuple((index,) for index in range(count))


def _last(concat: tuple[int, ...]) -> int:
    return max(concat) - INPUTS + 1


def _triples(parsed: list[tuple[str, list[int]]], field: str, concat: tuple[int, ...]) -> CellEntries:
    fair = 2 * sum(first > second for _, (first, second) in parsed) > len(parsed)
    form = EntryForm.FAIR if fair else EntryForm.TRIPLES
    entries = [Entry(op, *(reversed(nodes) if fair else nodes)) for op, nodes in parsed]
    checked = tuple(_check_edge(entry, field, index) for index, entry in enumerate(entries))
    nodes = max(_last(concat), *(entry.target - INPUTS + 1 for entry in checked))
    return CellEntries(form, checked, nodes, _flat(len(checked)))


def _nested(value: Sequence[Literal], field: str, concat: tuple[int, ...]) -> CellEntries:
    if len(value) > MAX_NODES:
        raise NATError(f"{field} has {len(value)} nodes; at most {MAX_NODES} are read")
    if _last(concat) > len(value):
        raise NATError(f"{field} lists {len(value)} nodes, but {field}_concat names node {max(concat)}")
    entries: list[Entry] = []
    paths: list[LiteralPath] = []
    for node, items in enumerate(value, start=INPUTS):
        assert isinstance(items, list | tuple)
        for index, item in enumerate(items):
            op, nodes = _parts(item, field, len(entries))
            if len(nodes) != 1:
                raise NATError(f"{field} entry {len(entries)}: within a node's own list expected (op, source)")
            entries.append(_check_edge(Entry(op, nodes[0], node), field, len(entries)))
            paths.append((node - INPUTS, index))
            if len(entries) > MAX_ENTRIES:
                raise NATError(f"{field} has more than {MAX_ENTRIES:,} entries")
    if not entries:
        raise NATError(f"{field} has no entries")
    return CellEntries(EntryForm.NESTED, tuple(entries), len(value), tuple(paths))


def _pairs(parsed: list[tuple[str, list[int]]], field: str, concat: tuple[int, ...]) -> CellEntries:
    """Two entries per node (DARTS), or as many as there are for each node up to the last one of the concat."""
    count = len(parsed)
    sizes = [2] if count % 2 == 0 and count // 2 >= _last(concat) else []
    if count % _last(concat) == 0 and count // _last(concat) not in sizes:
        sizes.append(count // _last(concat))
    if not sizes:
        raise NATError(
            f"{field}: {count} entries are neither two for each node nor the same number for each of the "
            f"{_last(concat)} nodes up to {max(concat)}, the last in {field}_concat; write triples (op, source, node)"
        )
    readings: list[CellEntries] = []
    errors: list[NATError] = []
    for size in sizes:
        try:
            entries = [Entry(op, nodes[0], INPUTS + i // size) for i, (op, nodes) in enumerate(parsed)]
            checked = tuple(_check_edge(entry, field, index) for index, entry in enumerate(entries))
            readings.append(CellEntries(EntryForm.PAIRS, checked, count // size, _flat(count)))
        except NATError as error:
            errors.append(error)
    if not readings:
        raise errors[0]
    behind = [entry for entry in readings[0].entries if entry.target > max(concat) and entry.op not in NULLS]
    if len(readings) > 1 and behind:  # with nothing but null behind the last output, DARTS's own reading is meant
        raise NATError(
            f"{field}: {count} entries can be two for each of {count // 2} nodes or {sizes[1]} for each of the "
            f"{_last(concat)} nodes up to {max(concat)}, the last in {field}_concat; write triples (op, source, node)"
        )
    return readings[0]
