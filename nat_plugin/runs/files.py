"""Files of a run: written whole or not at all, one process per folder, a journal that can be cut back."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from nat_plugin.errors import NATError


@contextmanager
def file_errors(path: Path) -> Iterator[None]:
    """Turn a full disk, a read-only folder and the like into one line."""
    try:
        yield
    except OSError as error:
        hint = "nothing written earlier is lost; mend that, then `nat resume` the folder"
        raise NATError(f"{path}: cannot write: {error.strerror or error}; {hint}") from error


def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, then put it in its place in one step."""
    with file_errors(path):
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        try:
            write(Path(name))
            with open(name, "rb+") as file:
                os.fsync(file.fileno())
            os.chmod(name, 0o644)
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def write_text(path: Path, text: str) -> None:
    write_whole(path, lambda temporary: _fill(temporary, text))


def _fill(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a run folder for this process; the lock goes with the process, however it ends."""
    lock = FileLock(folder / ".lock")
    with file_errors(folder):
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise NATError(f"{folder}: another process is running in this folder; wait for it or choose --out") from None
    try:
        yield
    finally:
        lock.release()


class Journal:
    """One JSON line for every evaluation. ``size`` goes into checkpoints; ``cut`` drops what came after one."""

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
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return [json.loads(line) for line in lines]
