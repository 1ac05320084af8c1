"""Safetensors files, read within a limit. Never a pickle."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from nat_plugin.checksums import check_file
from nat_plugin.files import ReadError, opened

__all__ = ["read_tensors"]

MAX_HEADER = 32 * 2**20
"""Bytes of names, shapes and facts: those of a hundred thousand tensors. Reading them takes twelve times as much."""


@contextmanager
def open_tensors(path: Path, limit: int, header_limit: int = MAX_HEADER) -> Iterator[Any]:
    """A handle of safetensors, tensors on the CPU. ReadError for a file that cannot be read or has more than ``limit``
    bytes; SafetensorError for one that is damaged; NATError for a result of a run that was changed."""
    check_file(path)
    with opened(path) as file:
        size = file.seek(0, 2)
        if size > limit:
            raise ReadError(f"{path}: {size:,} bytes, more than the {limit:,} allowed")
        file.seek(0)
        header = int.from_bytes(file.read(8), "little")
        if header > header_limit:
            raise SafetensorError(f"header of {header:,} bytes, more than the {header_limit:,} allowed")
        with safe_open(_named(path, file), framework="pt", device="cpu") as tensors:
            yield tensors


def _named(path: Path, file: IO[bytes]) -> str:
    """The path of an opened file as safetensors takes it, which knows names in UTF-8 only."""
    try:
        return str(path).encode().decode()
    except UnicodeEncodeError:
        return f"/dev/fd/{file.fileno()}"


def read_tensors(path: Path, limit: int, header_limit: int = MAX_HEADER) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors of a file by name, and what its header says beside them."""
    with open_tensors(path, limit, header_limit) as file:
        return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
