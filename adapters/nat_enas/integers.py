"""Architectures as integers in a text, whose layout is kept: only the numbers are replaced."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice

from nat_plugin.errors import NATError

MAX_INTEGERS = 4096
_TOKEN = re.compile(r"\d+|[^\d\s,+\[\]()'\"]+")


def read_integers(text: str) -> list[int]:
    """The integers of a text that holds nothing else, apart from blanks, commas, ``+``, brackets and quotes. NATError
    for anything else, and for no or too many integers."""
    tokens = list(islice(_TOKEN.finditer(text), MAX_INTEGERS + 1))
    for token in tokens:
        if not token[0].isdecimal() or not token[0].isascii() or len(token[0]) > 4:
            line = text.count("\n", 0, token.start()) + 1
            raise NATError(f"line {line}: {token[0]!r:.40} is not allowed in an ENAS string, which is integers only")
    if not tokens:
        raise NATError("the text has no integers; an ENAS string is something like 0 2 0 0 0 4 0 1 …")
    if len(tokens) > MAX_INTEGERS:
        raise NATError(f"more than {MAX_INTEGERS:,} integers; an ENAS string is shorter")
    return [int(token[0]) for token in tokens]


def with_integers(text: str, values: Sequence[int]) -> str:
    """The text with its integers replaced in order, everything between them as it stands."""
    left = iter(values)
    return re.sub(r"\d+", lambda _match: str(next(left)), text)
