"""The folder of a run: one process at a time, and a journal that can be cut back."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from nat_plugin.errors import NATError
from nat_plugin.files import file_errors, read_bytes

MAX_BYTES = 2**30


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a run folder for this process; the lock goes with the process, however it ends."""
    lock = FileLock(folder / ".lock")
    with file_errors(folder):
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise NATError(
                f"{folder}: another process is running in this folder; wait for it or choose --out"
            ) from None
    try:
        yield
    finally:
        lock.release()


class Journal:
    """One JSON line for every evaluation of the search and every epoch of the final stage. ``size`` goes into
    checkpoints; ``cut`` drops what came after one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with file_errors(path):
            self._file = open(path, "ab")  # noqa: SIM115 - held open for the length of the run

    @property
    def size(self) -> int:
        return self._file.tell()

    def add(self, record: dict[str, Any]) -> None:
        with file_errors(self.path):
            self._file.write(json.dumps(record, sort_keys=True).encode() + b"\n")

    def sync(self) -> None:
        with file_errors(self.path):
            self._file.flush()
            os.fsync(self._file.fileno())

    def cut(self, size: int) -> None:
        with file_errors(self.path):
            self._file.flush()
            self._file.truncate(size)
            self._file.seek(size)

    def close(self) -> None:
        with file_errors(self.path):
            self._file.close()


def read_journal(path: Path) -> list[dict[str, Any]]:
    """The complete lines of a journal."""
    lines = read_bytes(path, MAX_BYTES, "a journal").split(b"\n")[:-1] if path.exists() else []
    return [json.loads(line) for line in lines]
