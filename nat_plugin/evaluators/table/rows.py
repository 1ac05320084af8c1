"""The rows of a csv file, gzip or plain: read within limits, every fault named with its line."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from nat_plugin.errors import NATError
from nat_plugin.files import reader

MAX_BYTES = 64 * 2**20
MAX_LINES, MAX_LINE, MAX_COLUMNS = 500_000, 10_000, 1_000

Stamp: TypeAlias = "tuple[int, int] | None"


def stamp(path: Path) -> Stamp:
    """What tells a file that was replaced from what is remembered of it: its time and size."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def read_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and fields, the header first, every row as long as that. One line after the other: as lists of
    fields all of them would take fifty times the memory of their text."""
    with reader(path, MAX_BYTES, "such a table") as file:
        raw = file.rest()
    if b"\0" in raw:
        raise NATError(f"{path}: this is not a text file")
    header: list[str] | None = None
    try:
        lines = csv.reader(_short(path, raw))
        for fields in lines:
            if not fields:
                continue
            if header is None:
                header = fields
                _check_header(path, header)
            elif len(fields) != len(header):
                raise NATError(f"{path}, line {lines.line_num}: {len(fields)} fields, the header has {len(header)}")
            yield lines.line_num, fields
    except UnicodeDecodeError as error:
        raise NATError(f"{path}: this is not a text file (its encoding has to be UTF-8)") from error
    except csv.Error as error:
        raise NATError(f"{path}, line {lines.line_num}: {error}") from error
    if header is None:
        raise NATError(f"{path}: the file is empty")


def number(text: str) -> float | None:
    """The finite number that a field holds, None where it is empty. ValueError for anything else."""
    text = text.strip()
    if not text:
        return None
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("not a finite number")
    return value


def no_number(text: str) -> str:
    """What is wrong with a field of which ``number`` makes none."""
    try:
        float(text)
    except ValueError:
        return f"{text[:20]!r}, not a number"
    return f"{text.strip()[:20]}, not a finite number"


def _check_header(path: Path, header: list[str]) -> None:
    if len(header) > MAX_COLUMNS:
        raise NATError(f"{path}: {len(header):,} columns, more than {MAX_COLUMNS:,}: too many for such a table")
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise NATError(f"{path}: the header has column '{twice[0][:40]}' twice")


def _short(path: Path, raw: bytearray) -> Iterator[str]:
    """The lines of a text. NATError for one that is too long, and for more than a table can have."""
    text = io.TextIOWrapper(io.BytesIO(raw), encoding="utf-8-sig", newline="")
    for count in range(1, MAX_LINES + 1):
        line = text.readline(MAX_LINE + 1)
        if len(line) > MAX_LINE:
            raise NATError(f"{path}, line {count}: longer than {MAX_LINE:,} characters, too large for such a table")
        if not line:
            return
        yield line
    raise NATError(f"{path}: more than {MAX_LINES:,} lines, too large for such a table")
