"""Files of measured latencies: a row a network by its number, a column a device, milliseconds."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from nat_plugin.errors import NATError
from nat_plugin.evaluators.table.lookup import NUMBER
from nat_plugin.evaluators.table.rows import Stamp, no_number, number, read_rows, stamp

FAILED = 0.1
"""Latencies (ms) up to here are measurements that failed."""


def read_latencies(path: Path, device: str) -> Mapping[int, float]:
    """Milliseconds by number; without those whose measurement failed."""
    return _latencies(path, device, stamp(path))


@lru_cache(maxsize=8)
def _latencies(path: Path, device: str, when: Stamp) -> Mapping[int, float]:
    del when
    lines = read_rows(path)
    _, header = next(lines)
    devices = [name for name in header if name != NUMBER]
    if NUMBER not in header or device not in devices:
        raise NATError(f"{path}: there is no device '{device[:40]}'; it has {', '.join(devices)[:200]}")
    found: dict[int, float] = {}
    for line, fields in lines:
        row = dict(zip(header, fields, strict=True))
        try:
            value = number(row[device])
        except ValueError:
            raise NATError(f"{path}, line {line}: {device} is {no_number(row[device])}") from None
        text = row[NUMBER]
        if not (text.isascii() and text.isdecimal() and len(text) < 10):
            raise NATError(f"{path}, line {line}: {NUMBER} is {text[:20]!r}, not a whole number")
        if value is not None and value > FAILED:
            found[int(text)] = value
    return found
