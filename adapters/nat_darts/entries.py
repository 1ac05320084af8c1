"""The list of operations of one cell, in every form in which the DARTS family writes it.

Pairs ``(op, source)`` name no node: DARTS means two for each node in order, some descendants another constant number.
Triples name it: NAT writes ``(op, source, node)``, FairDARTS ``(op, node, source)`` and leaves missing edges out. Lists
nested per node hold pairs. Nodes 0 and 1 are the inputs of the cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from nat_darts.ops import NULLS, OPS
from nat_plugin.errors import NATError
from nat_plugin.literals import Literal

INPUTS = 2
MAX_NODES = 64
MAX_ENTRIES = 1024


class Form(Enum):
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
class Entries:
    """The entries of a cell in the order of the text, their form, and the number of inner nodes."""

    form: Form
    entries: tuple[Entry, ...]
    nodes: int


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
            raise NATError(f"{field} item {index}: node {node} is none of the inner nodes 2 to {MAX_NODES + 1}")
        if nodes[-1] in nodes[:-1]:
            raise NATError(f"{field} item {index}: node {node} stands there twice")
    return tuple(nodes)


def read_entries(value: Literal, field: str, concat: tuple[int, ...]) -> Entries:
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


def write_entries(value: Literal, ops: Sequence[str | None]) -> Literal:
    """The value of a field with other op names, in the same containers; an entry whose name is None is left out."""
    names = iter(ops)
    assert isinstance(value, list | tuple)

    def rename(item: Literal) -> Literal | None:
        assert isinstance(item, list | tuple)
        if item and isinstance(item[0], str):
            name = next(names)
            return None if name is None else _like(item, [name, *item[1:]])
        return _like(item, [renamed for each in item if (renamed := rename(each)) is not None])

    return _like(value, [renamed for item in value if (renamed := rename(item)) is not None])


def write_concat(value: Literal, output: Sequence[int]) -> Literal:
    """The value of a concat field with other nodes, in the same container (a range only if it still is one)."""
    new: list[Literal] = list(output)
    if isinstance(value, range):
        ranges = (value, range(output[0], output[-1] + 1))
        still = next((each for each in ranges if list(each) == new), None)
        return new if still is None else still
    return tuple(new) if isinstance(value, tuple) else new


def _like(value: list[Literal] | tuple[Literal, ...], items: list[Literal]) -> Literal:
    return tuple(items) if isinstance(value, tuple) else items


def _node(value: Literal, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > 10**6:
        raise NATError(f"{where}: {value!r:.60} is not the number of a node")
    return value


def _parts(item: Literal, field: str, index: int) -> tuple[str, list[int]]:
    """The op name of an entry and its one or two nodes."""
    where = f"{field} entry {index}"
    if not isinstance(item, list | tuple) or len(item) not in (2, 3):
        raise NATError(f"{where}: expected ('sep_conv_3x3', 0) or ('sep_conv_3x3', 0, 2), not {item!r:.60}")
    op = item[0]
    if not isinstance(op, str) or op not in OPS:
        raise NATError(f"{where}: unknown op {op!r:.60}; allowed: {', '.join(OPS)}")
    return op, [_node(node, where) for node in item[1:]]


def _check_edge(entry: Entry, field: str, index: int) -> Entry:
    where = f"{field} entry {index}"
    if not INPUTS <= entry.target < INPUTS + MAX_NODES:
        raise NATError(f"{where}: node {entry.target} is none of the inner nodes 2 to {MAX_NODES + 1}")
    if not 0 <= entry.source < entry.target:
        allowed = f"0 to {entry.target - 1}"
        raise NATError(f"{where}: node {entry.target} cannot read node {entry.source}; it has {allowed} before it")
    return entry


def _last(concat: tuple[int, ...]) -> int:
    return max(concat) - INPUTS + 1


def _triples(parsed: list[tuple[str, list[int]]], field: str, concat: tuple[int, ...]) -> Entries:
    fair = 2 * sum(first > second for _, (first, second) in parsed) > len(parsed)
    form = Form.FAIR if fair else Form.TRIPLES
    entries = [Entry(op, *(reversed(nodes) if fair else nodes)) for op, nodes in parsed]
    checked = tuple(_check_edge(entry, field, index) for index, entry in enumerate(entries))
    return Entries(form, checked, max(_last(concat), *(entry.target - INPUTS + 1 for entry in checked)))


def _nested(value: Sequence[Literal], field: str, concat: tuple[int, ...]) -> Entries:
    if len(value) > MAX_NODES:
        raise NATError(f"{field} has {len(value)} nodes; at most {MAX_NODES} are read")
    if _last(concat) > len(value):
        raise NATError(f"{field} lists {len(value)} nodes, but {field}_concat names node {max(concat)}")
    entries: list[Entry] = []
    for node, items in enumerate(value, start=INPUTS):
        assert isinstance(items, list | tuple)
        for item in items:
            op, nodes = _parts(item, field, len(entries))
            if len(nodes) != 1:
                raise NATError(f"{field} entry {len(entries)}: within a node's own list expected (op, source)")
            entries.append(_check_edge(Entry(op, nodes[0], node), field, len(entries)))
            if len(entries) > MAX_ENTRIES:
                raise NATError(f"{field} has more than {MAX_ENTRIES:,} entries")
    if not entries:
        raise NATError(f"{field} has no entries")
    return Entries(Form.NESTED, tuple(entries), len(value))


def _pairs(parsed: list[tuple[str, list[int]]], field: str, concat: tuple[int, ...]) -> Entries:
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
    readings: list[Entries] = []
    errors: list[NATError] = []
    for size in sizes:
        try:
            entries = [Entry(op, nodes[0], INPUTS + i // size) for i, (op, nodes) in enumerate(parsed)]
            checked = tuple(_check_edge(entry, field, index) for index, entry in enumerate(entries))
            readings.append(Entries(Form.PAIRS, checked, count // size))
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
