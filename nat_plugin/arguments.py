"""What a user's script gives, of whatever type, held to what it has to be."""

from __future__ import annotations

import operator
import os
import tempfile
from pathlib import Path
from typing import Any

from nat_plugin.errors import NATError
from nat_plugin.files import file_errors
from nat_plugin.ir.layers import Shape

LARGEST = 2**32 - 1
"""A seed of NumPy is at most that."""


def read_count(name: str, value: Any, minimum: int) -> int:
    """A whole number, NumPy's too. NATError for anything else, and for less than ``minimum``."""
    try:
        found = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        found = None
    if found is None or not minimum <= found <= LARGEST:
        raise NATError(f"{name}: {value!r:.60} is not a whole number from {minimum} to {LARGEST}")
    return found


def read_name(name: str, value: Any) -> str:
    """A text. NATError for anything else."""
    if not isinstance(value, str):
        raise NATError(f"{name}: must be a name, not {value!r:.60}")
    return value


def read_shape(value: Any) -> Shape:
    """Channels, height and width. NATError for anything but three whole numbers from 1."""
    try:
        numbers = [] if isinstance(value, str | bytes) else list(value)
    except TypeError:
        numbers = []
    if len(numbers) != 3:
        raise NATError(
            f"input: {value!r:.60} is not the shape of an image; write (channels, height, width), as in (3, 32, 32)"
        )
    channels, height, width = (read_count("input", each, 1) for each in numbers)
    return channels, height, width


def read_path(name: str, value: Any) -> Path:
    """A file to be written later. NATError if it cannot be, so that this is known before hours of training."""
    if not isinstance(value, str | os.PathLike):
        raise NATError(f"{name}: must be the path of a file, not {value!r:.60}")
    path = Path(value)
    if path.is_dir():
        raise NATError(f"{name}: {path} is a folder; give a file")
    with file_errors(path), tempfile.TemporaryFile(dir=path.parent):
        return path
