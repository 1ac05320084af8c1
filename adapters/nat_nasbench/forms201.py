"""Cells of NAS-Bench-201 in their three forms: the string, numbers of NASLib, nested tuples of AutoDL-Projects.

Sources: ``xautodl/models/cell_searchs/genotypes.py`` of D-X-Y/AutoDL-Projects (strings and tuples); automl/NASLib,
search space ``nasbench201`` (numbers).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from nat_plugin import NATError
from nat_plugin.extending import CharSpan, Patches, closing, is_network, parse_literal

Ends: TypeAlias = tuple[int, int]
NAMES = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
"""In the order in which the benchmark numbers them."""
ENDS: tuple[Ends, ...] = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""Source and target of the edges, as they follow in a string."""
NASLIB_NAMES = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")
NASLIB_ENDS: tuple[Ends, ...] = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
FORM = "|op~0|+|op~0|op~1|+|op~0|op~1|op~2|"
MAX_CHARS = 100_000
_MAX_STRING = 1000
_SOURCES = {str(number): number for number in range(3)}
_RUN = re.compile(r"[\w|~+]+")
_ENTRY = re.compile(r"([^|~+]*)~")
_NUMBER = r"(?:\d+|(?:np|numpy)\.int\d+\(\d+\))"
_NUMBERS = re.compile(rf"[\[(]\s*{_NUMBER}(?:\s*,\s*{_NUMBER})*[\s,]*[\])]")
_DIGITS = re.compile(r"(?<!\w)\d+")
_NESTED = re.compile(r"[\[(]\s*[\[(]\s*[\[(]\s*['\"]")


@dataclass(frozen=True)
class Spelled:
    """The op of every edge by its ends, in the order of the text, and the place and form of the cell in the text."""

    entries: Mapping[Ends, str]
    span: CharSpan
    form: Callable[[str, CharSpan, Sequence[tuple[Ends, str]]], str]

    def rewritten(self, text: str, ops: Mapping[Ends, str]) -> str:
        """The text with other ops, everything else as it stands."""
        return self.form(text, self.span, [(ends, ops[ends]) for ends in self.entries])


def find_cell(text: str) -> Spelled:
    """The one cell in a text. Raises NATError that names the node."""
    if len(text) > MAX_CHARS:
        raise NATError(f"a NAS-Bench-201 string is {FORM}, this text has {len(text):,} characters")
    bare = text.strip(" \t\r\n'\"")
    first = text.index(bare)
    span = first, first + len(bare)
    if _NUMBERS.fullmatch(bare):
        return Spelled(_read_numbers(bare), span, _write_numbers)
    if _NESTED.match(bare):
        return Spelled(_read_nested(bare), span, _write_nested)
    if not bare or _RUN.fullmatch(bare) or is_network(text):
        return Spelled(_read_string(bare), span, _write_string)
    runs = [match.span() for match in _RUN.finditer(text) if "~" in match[0] and "|" in match[0]]
    if len(runs) == 1:
        return Spelled(_read_string(text[slice(*runs[0])]), runs[0], _write_string)
    if runs:
        raise NATError(f"the text has {len(runs)} NAS-Bench-201 strings; give one of them")
    return Spelled(_read_string(bare), span, _write_string)


def means_a_cell(text: str) -> bool:
    """Whether a text is likely to be meant for this format."""
    bare = text.strip(" \t\r\n'\"")
    return len(text) <= MAX_CHARS and (("|" in text and "~" in text) or "nor_conv_" in text or _is_six(bare))


def _is_six(bare: str) -> bool:
    return _NUMBERS.fullmatch(bare) is not None and bare.count(",") in (len(ENDS) - 1, len(ENDS))


def _read_string(string: str) -> Mapping[Ends, str]:
    if len(string) > _MAX_STRING:
        raise NATError(f"a NAS-Bench-201 string is {FORM}, this text has {len(string):,} characters")
    nodes = string.split("+")
    if len(nodes) != 3:
        raise NATError(f"a NAS-Bench-201 string is {FORM}: 3 nodes joined by '+', not {len(nodes)}")
    found: dict[Ends, str] = {}
    for target, node in enumerate(nodes, start=1):
        where = f"node {target}"
        entries = node.split("|")
        if len(entries) != target + 2 or entries[0] or entries[-1]:
            raise NATError(
                f"{where}: {target} op{'s'[: target - 1]}, with a bar before, after and between, as in {FORM}; "
                f"this is {node!r:.80}"
            )
        for entry in entries[1:-1]:
            op, tilde, source = entry.partition("~")
            if not tilde:
                raise NATError(f"{where}: an entry is an op, '~' and the node it comes from, not {entry!r:.40}")
            _add(found, target, op, _SOURCES.get(source, source))
    return found


def _add(found: dict[Ends, str], target: int, op: object, source: object) -> None:
    where = f"node {target}"
    if not isinstance(op, str) or op not in NAMES:
        raise NATError(f"{where}: {op!r:.40} is not known; allowed: {', '.join(NAMES)}")
    if type(source) is not int or not 0 <= source < target:
        raise NATError(f"{where}: it cannot read node {source!r:.40}; it has 0 to {target - 1} before it")
    if (source, target) in found:
        raise NATError(f"{where}: it reads node {source} twice; every node before it once")
    found[source, target] = op


def _write_string(text: str, span: CharSpan, ops: Sequence[tuple[Ends, str]]) -> str:
    left = iter(ops)
    string = _ENTRY.sub(lambda _entry: f"{next(left)[1]}~", text[slice(*span)])
    return text[: span[0]] + string + text[span[1] :]


def _read_numbers(bare: str) -> Mapping[Ends, str]:
    numbers = [int(token) if len(token) < 10 else -1 for token in _DIGITS.findall(bare)]
    if len(numbers) != len(ENDS):
        raise NATError(f"NASLib's cell of NAS-Bench-201 has {len(ENDS)} numbers, one for each edge, not {len(numbers)}")
    for (source, target), number in zip(NASLIB_ENDS, numbers, strict=True):
        if not 0 <= number < len(NASLIB_NAMES):
            listed = ", ".join(f"{at} {name}" for at, name in enumerate(NASLIB_NAMES))
            raise NATError(f"edge {source}->{target}: there is no op of this number; allowed: {listed}")
    return {ends: NASLIB_NAMES[number] for ends, number in zip(NASLIB_ENDS, numbers, strict=True)}


def _write_numbers(text: str, span: CharSpan, ops: Sequence[tuple[Ends, str]]) -> str:
    left = iter(ops)

    def other(old: re.Match[str]) -> str:
        number = NASLIB_NAMES.index(next(left)[1])
        return old[0] if int(old[0]) == number else str(number)

    numbers = _DIGITS.sub(other, text[slice(*span)])
    return text[: span[0]] + numbers + text[span[1] :]


def _read_nested(bare: str) -> Mapping[Ends, str]:
    nodes = parse_literal(bare)
    if not isinstance(nodes, list | tuple) or len(nodes) != 3:
        raise NATError("a cell of NAS-Bench-201 as tuples is ((('nor_conv_3x3', 0),), (…, …), (…, …, …)): 3 nodes")
    found: dict[Ends, str] = {}
    for target, node in enumerate(nodes, start=1):
        if not isinstance(node, list | tuple) or len(node) != target:
            raise NATError(f"node {target}: {target} pairs such as ('nor_conv_3x3', 0), one for each node before it")
        for pair in node:
            if not isinstance(pair, list | tuple) or len(pair) != 2:
                raise NATError(f"node {target}: expected a pair such as ('nor_conv_3x3', 0), not {pair!r:.40}")
            _add(found, target, *pair)
    return found


def _write_nested(text: str, span: CharSpan, ops: Sequence[tuple[Ends, str]]) -> str:
    patches = Patches(text, span[0], closing(text, span[0]))
    positions = dict.fromkeys((1, 2, 3), 0)
    for (_, target), name in ops:
        place = (target - 1, positions[target], 0)
        old = patches.source(place)
        patches.put(place, f"{old[0]}{name}{old[-1]}" if old[0] in "'\"" else repr(name))
        positions[target] += 1
    return patches.render()
