"""Architectures as integers in a text, whose layout is kept: only the numbers are replaced."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice

from nat_plugin import NATError
from nat_plugin.extending import MAX_CHARS, CharSpan, is_network

MAX_INTEGERS = 4096
_TOKEN = re.compile(r"\d+|[^\d\s,+\[\]()'\"]+")
_ARGUMENT = re.compile(
    r"^(?![ \t]*#)[^\n]*?fixed_arc(?P<more>\+)?(?:=|[ \t]+)"
    r"(?P<quote>[\"'])(?P<own>\s*\$\{?\w+\}?)?(?P<text>[^\"'$]*)(?P=quote)",
    re.MULTILINE,
)
_TENSOR = re.compile(r"\b(?:tensor|array)\(\s*(\[[^()]*)\)")
_KEYWORDS = re.compile(r",\s*(?:device|dtype|grad_fn)\b")
_CLOSED_BY = {"[": "]", "(": ")", "'": "'", '"': '"'}
_ENCLOSING = re.compile(r"[\[\]()'\"]")
_NESTED = re.compile(r"[\[(]\s*[\[(]\s*[\[(]")


def read_integers(text: str) -> list[int]:
    """The integers of a text: of the ``fixed_arc="…"`` lines of the authors' scripts if it has any, of its
    ``tensor([…])`` if it has any, else of all of it, which then holds nothing but integers, blanks, commas, ``+``,
    brackets and quotes. NATError for anything else, and for no or too many integers."""
    return [int(text[first:end]) for first, end in _places(text)]


def with_integers(text: str, values: Sequence[int]) -> str:
    """The text with its integers replaced in order, everything between them as it stands."""
    parts, at = list[str](), 0
    for (first, end), value in zip(_places(text), values, strict=True):
        old = text[first:end]
        parts += [text[at:first], old if int(old) == value else str(value)]
        at = end
    return "".join([*parts, text[at:]])


def before_plus(text: str) -> int | None:
    """How many of the integers stand before a ``+``; None without one. NATError for more than one."""
    signs = [text.index("+", *scope) for scope in _scopes(text) if text.count("+", *scope)]
    if len(signs) > 1 or any(text.count("+", *scope) > 1 for scope in _scopes(text)):
        raise NATError("the '+' of a micro string stands between its two cells, which have the same number of nodes")
    return sum(end <= signs[0] for _, end in _places(text)) if signs else None


def is_mostly_integers(text: str) -> bool:
    """Whether a text is likely to be meant for integers."""
    if len(text) > MAX_CHARS:
        return False
    digits = sum(character.isdecimal() for character in text)
    return digits > sum(character.isalpha() for character in text) or (digits > 0 and "fixed_arc" in text)


def _places(text: str) -> list[CharSpan]:
    """Where the integers stand."""
    if len(text) > MAX_CHARS:
        raise NATError(f"the text has {len(text):,} characters; at most {MAX_CHARS:,} are read")
    found: list[CharSpan] = []
    for scope in _scopes(text):
        _check_closed(text, scope)
        for token in islice(_TOKEN.finditer(text, *scope), MAX_INTEGERS + 1 - len(found)):
            if not token[0].isdecimal() or not token[0].isascii() or len(token[0]) > 4:
                line = text.count("\n", 0, token.start()) + 1
                raise NATError(
                    f"line {line}: {token[0]!r:.40} is not allowed in an ENAS string, which is integers only"
                )
            found.append(token.span())
    if not found:
        raise NATError("the text has no integers; an ENAS string is something like 0 2 0 0 0 4 0 1 …")
    if len(found) > MAX_INTEGERS:
        raise NATError(f"more than {MAX_INTEGERS:,} integers; an ENAS string is shorter")
    return found


def _check_closed(text: str, scope: CharSpan) -> None:
    """NATError unless every bracket and quote is closed by its own kind, as in a text that is whole."""
    still_open: list[str] = []
    for match in _ENCLOSING.finditer(text, *scope):
        if still_open and match[0] == still_open[-1]:
            still_open.pop()
        elif match[0] in _CLOSED_BY:
            still_open.append(_CLOSED_BY[match[0]])
        else:
            line = text.count("\n", 0, match.start()) + 1
            raise NATError(f"line {line}: {match[0]!r} is an unmatched bracket")
    if still_open:
        raise NATError(f"{still_open[-1]!r} is missing: unmatched bracket")


def _scopes(text: str) -> list[CharSpan]:
    """The parts of a text in which integers are looked for."""
    if is_network(text):
        return [(0, len(text))]
    arguments: list[CharSpan] = []
    for match in _ARGUMENT.finditer(text):
        if match["more"] is None and match["own"] is None:  # a line that does not go on with the one before
            arguments.clear()
        if match["text"].strip():
            arguments.append(match.span("text"))
    if arguments:
        return arguments
    tensors: list[CharSpan] = []
    for match in _TENSOR.finditer(text):
        keyword = _KEYWORDS.search(text, *match.span(1))
        tensors.append((match.start(1), keyword.start() if keyword else match.end(1)))
    if tensors:
        return tensors
    if _NESTED.search(text):
        raise NATError(
            "brackets nested three deep are not an ENAS string; NASLib's tuples of DARTS cells are read by "
            "darts-compact"
        )
    return [(0, len(text))]
