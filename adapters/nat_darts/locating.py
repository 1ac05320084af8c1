"""Where in a text a genotype stands: alone, in quotes, in a line of a log, in a Python file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from nat_plugin import NATError
from nat_plugin.extending import (
    MAX_CHARS,
    Call,
    CharSpan,
    assigned_names,
    closing,
    is_network,
    parse_literal,
    parse_value,
)

FIELDS = ("normal", "normal_concat", "reduce", "reduce_concat")
CONSTRUCTOR = re.compile(r"(?:\w+\.)*genotype\w*", re.IGNORECASE)
MAX_FOUND = 100
_CALL = re.compile(r"(?<![\w.])([\w.]+)\s*\(")
_DICT = re.compile(rf"\{{\s*(['\"])(?:{'|'.join(FIELDS)})\1\s*:")
_FILE = re.compile(r"(?:from|import)\b|#|\"\"\"|'''|[A-Za-z_]\w*\s*(?::[^=\n]*)?=(?!=)")


@dataclass(frozen=True)
class Located:
    """A genotype's place in a text, and its value, a call or a dict."""

    span: CharSpan
    value: object


def mentions_one(text: str) -> bool:
    """Whether a text has what looks like a genotype (cheaply)."""
    return not is_network(text) and next(_starts(text), None) is not None


def locate(text: str) -> Located:
    """The one genotype in a text. Raises NATError if there is none, if there are several, or if it is no literal."""
    if len(text) > MAX_CHARS:
        raise NATError(f"the text has {len(text):,} characters; at most {MAX_CHARS:,} are read")
    spans = list(_spans(text))
    likely = [span for span in spans if _has_entries(text[slice(*span)])]
    if len(likely) > 1:
        likely = [span for span in likely if _is_literal(text[slice(*span)])] or likely[:1]
    if len(likely) > 1:
        raise NATError(_several(text, likely))
    span = next(iter(likely or spans), None)
    if span is None:
        _nothing(text)
    return Located(span, parse_value(text[slice(*span)]))


def _starts(text: str) -> Iterator[tuple[int, int]]:
    """Where genotypes begin, and where their opening bracket is."""
    for match in _CALL.finditer(text):
        if CONSTRUCTOR.fullmatch(match[1]):
            yield match.start(), match.end() - 1
    for match in _DICT.finditer(text):
        yield match.start(), match.start()


def _spans(text: str) -> Iterator[CharSpan]:
    """Those that are not inside of another. One that is never closed goes on to the end of the text."""
    behind = 0
    starts = sorted(_starts(text))[: MAX_FOUND + 1]
    if not starts and text.lstrip().startswith("{"):
        starts = [(text.index("{"),) * 2]
    for first, bracket in starts:
        if first < behind:
            continue
        behind = closing(text, bracket) or len(text.rstrip())
        yield first, behind


def _has_entries(source: str) -> bool:
    return "normal" in source or "[" in source


def _is_literal(source: str) -> bool:
    try:
        parse_value(source)
    except NATError:
        return False
    return True


def _several(text: str, spans: list[CharSpan]) -> str:
    try:
        names = assigned_names(text)
    except NATError:
        names = []
    if len(names) > 1:
        listed = ", ".join(names[:30]) + (", …" if len(names) > 30 else "")
        return f"the file has {len(names)} architectures, name one: {listed}"
    lines = [str(text.count("\n", 0, first) + 1) for first, _ in spans]
    count = f"more than {MAX_FOUND:,}" if len(spans) > MAX_FOUND else str(len(spans))
    listed = ", ".join(lines[:20]) + (", …" if len(lines) > 20 else "")
    return f"the text has {count} genotypes, on lines {listed}; give one of these lines"


def _nothing(text: str) -> NoReturn:
    """Raises NATError that says what a text without a genotype is."""
    text = text.strip()
    if not text:
        raise NATError(
            "the text is empty; a genotype is Genotype(normal=[...], normal_concat=[...], reduce=[...], ...)"
        )
    if _FILE.match(text):
        raise NATError("the file assigns nothing that looks like Genotype(normal=[...], ...) to a name")
    try:
        value = parse_literal(text)
    except NATError:
        raise NATError(
            "no Genotype(normal=[(op, source), …], …) and no object with its fields is in the text"
        ) from None
    if isinstance(value, Call):
        raise NATError(f"expected Genotype(...), not a call of '{value.name[:80]}'")
    raise NATError(f"expected Genotype(...) or an object with its fields, not a {type(value).__name__}")
