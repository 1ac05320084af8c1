"""Values that any file of ours can hold: what JSON has, in numbers that a machine has and texts that can be written."""

from __future__ import annotations

import math
import numbers
import os
import re
from collections.abc import Mapping

from nat_plugin.errors import NATError

LARGEST = 2**63
MAX_DEPTH = 100
_HALF = re.compile("[\ud800-\udfff]")


def as_plain(value: object) -> object:
    """What a script gives as a file would have it: mappings as dicts, sequences as lists, paths as texts, numbers of
    NumPy as numbers. Anything else stays, for ``check_plain`` to refuse."""
    if isinstance(value, Mapping):
        return {name: as_plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [as_plain(inner) for inner in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, bool | str):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    return float(value) if isinstance(value, numbers.Real) else value


def check_plain(value: object, where: str, depth: int = 0) -> None:
    """NATError, saying where, for anything but null, truth values, numbers, texts, lists, and mappings of texts."""
    if depth > MAX_DEPTH:
        raise NATError(f"{where[:100]}: nested more than {MAX_DEPTH} deep")
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise NATError(f"{where}: the key {show(key)} is not a string")
            check_text(key, where)
            check_plain(inner, f"{where}: {key:.60}", depth + 1)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            check_plain(inner, f"{where}[{number}]", depth + 1)
    elif isinstance(value, str):
        check_text(value, where)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise NATError(f"{where}: {value} is not a finite number")
    elif isinstance(value, int):
        check_int(value, where)
    elif value is not None:
        raise NATError(f"{where}: {show(value)} is neither number, text, list nor mapping")


def check_text(text: str, where: str) -> None:
    """NATError for halves of surrogate pairs: no encoding can write them."""
    half = _HALF.search(text)
    if half:
        raise NATError(
            f"{where}: {text[half.start() : half.start() + 20]!a} is not valid text: it has half of a surrogate pair"
        )


def check_int(value: int, where: str) -> None:
    """NATError for whole numbers of more than 64 bits (those of thousands of digits cannot even be printed)."""
    if not -LARGEST <= value < LARGEST:
        raise NATError(f"{where}: a whole number of {value.bit_length()} bits is too large")


def show(value: object) -> str:
    """A value of any type for an error: short, and whatever it is."""
    if isinstance(value, int) and not -LARGEST <= value < LARGEST:
        return f"a whole number of {value.bit_length()} bits"
    return f"{value!r:.40}" if isinstance(value, str | int | float | None) else f"a {type(value).__name__}"
