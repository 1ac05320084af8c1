"""Writing files whole or not at all, and saying in one line why one cannot be written."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nat_plugin.errors import NATError


class WriteError(NATError):
    """A file or folder that cannot be written. What was written before is still there, whole."""


@contextmanager
def file_errors(path: Path) -> Iterator[None]:
    """Turn a full disk, a read-only folder and the like into a WriteError."""
    try:
        yield
    except OSError as error:
        raise WriteError(f"{path}: cannot write: {error.strerror or error}; nothing written earlier is lost") from error


def write_bytes(path: Path, data: bytes) -> None:
    """Fill a temporary file beside ``path``, then put it in its place in one step. WriteError if that cannot be."""
    with file_errors(path):
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, 0o644)
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode())
