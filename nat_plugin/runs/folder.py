"""The folder of a run: one process at a time, nothing in it that leads elsewhere, a journal that can be cut back."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeAlias

from filelock import FileLock, Timeout

from nat_plugin.errors import NATError
from nat_plugin.files import CHUNK, TEMPORARY, file_errors, open_own, read_bytes, stands_there, write_all

LOCK = ".lock"
JOBS = "jobs"
"""The folder in that of a run where an executor keeps what goes to its workers and comes back, as it needs it: submitit
has links there."""
MAX_BYTES = 2**30

JournalMark: TypeAlias = "tuple[int, str]"
"""A length in bytes and the SHA-256 of so much."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a run folder for this process; the lock goes with the process, however it ends. NATError if another process
    holds it."""
    lock = FileLock(folder / LOCK)
    with file_errors(folder / LOCK):
        file = open_own(folder / LOCK)  # FileLock would follow a link, and empty the file behind it
        try:
            lock.acquire(timeout=0)
            held = os.fstat(file).st_nlink > 0  # `begun` of another process may have removed it
        except Timeout:
            held = False
        finally:
            os.close(file)
    try:
        if not held:
            raise NATError(f"{folder}: another process is running in this folder; wait for it or choose --out")
        yield
    finally:
        lock.release()


@contextmanager
def begin_folder(folder: Path, file: str) -> Iterator[None]:
    """Make a folder and hold it, for what begins in it by writing ``file``; where that fails before, nothing is left of
    either. NATError if the folder is in use for something else."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    with file_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        if not (folder / file).exists():
            check_free(folder, file)  # before a lock is left in a folder of the user's own
        with locked(folder):
            try:
                yield
            finally:
                with suppress(OSError):
                    if not (folder / file).exists():
                        (folder / LOCK).unlink()
    finally:
        with suppress(OSError):  # it holds something
            for path in made:
                path.rmdir()


def in_use(folder: Path) -> bool:
    """Whether a folder has anything in it but what a process leaves that was killed before its first file was whole."""
    with file_errors(folder):
        return any(path.name != LOCK and not _is_temporary(path) for path in folder.iterdir())


def check_free(folder: Path, file: str) -> None:
    """NATError for a folder that is in use; ``file`` is there where something was begun that can be resumed."""
    if in_use(folder):
        hint = "`nat resume` resumes it; or" if (folder / file).exists() else "it is not empty;"
        raise NATError(f"{folder}: this folder is in use: {hint} choose another --out")


def tidy_folder(folder: Path) -> None:
    """Remove from a folder of ours, which has to be held, what a killed process had half written. NATError if something
    in it leads elsewhere; what is in ``JOBS`` is left to its executor."""
    with file_errors(folder):
        for where, folders, files in os.walk(folder):
            for path in (Path(where, name) for name in (*folders, *files)):
                other = stands_there(path)
                if other not in (None, "a folder"):
                    raise NATError(f"{path}: this is {other}, which no run makes; remove it first")
            for path in (Path(where, name) for name in files):
                if _is_temporary(path):
                    path.unlink()
            folders[:] = [name for name in folders if name != JOBS]


def _is_temporary(path: Path) -> bool:
    return path.name.startswith(".") and path.name.endswith(TEMPORARY)


class Journal:
    """One JSON line for every evaluation of the search, for what is learned in a round, and for every epoch of the
    final stage. ``mark`` goes into checkpoints; ``cut``, with which it has to begin, drops what came after one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with file_errors(path):
            self._file = open_own(path)
        self._size, self._hash = os.fstat(self._file).st_size, sha256()

    @property
    def mark(self) -> JournalMark:
        """Of all lines since the journal was cut."""
        return self._size, self._hash.hexdigest()

    def add(self, record: dict[str, Any]) -> None:
        line = json.dumps(record, sort_keys=True).encode() + b"\n"
        with file_errors(self.path):
            write_all(self._file, line)
        self._size += len(line)
        self._hash.update(line)

    def sync(self) -> None:
        with file_errors(self.path):
            os.fsync(self._file)

    def cut(self, mark: JournalMark | None = None) -> list[dict[str, Any]]:
        """Back to a mark, or to nothing; the lines that this drops, up to one that is none. NATError if what is left is
        not what was there at the mark."""
        size, wanted = (0, sha256().hexdigest()) if mark is None else mark
        found, left = sha256(), size
        with file_errors(self.path):
            os.lseek(self._file, 0, os.SEEK_SET)
            while left and (piece := os.read(self._file, min(CHUNK, left))):
                found.update(piece)
                left -= len(piece)
            if left or found.hexdigest() != wanted:
                raise NATError(
                    f"{self.path}: lines of it were lost or changed since the last checkpoint; put it back as it was, "
                    "or remove checkpoint.safetensors: then the run starts again from its beginning"
                )
            dropped = self._lines()
            os.ftruncate(self._file, size)
        self._size, self._hash = size, found
        return dropped

    def _lines(self) -> list[dict[str, Any]]:
        """Whole lines from where the file is read, up to one that no run writes."""
        rest = bytearray()
        while piece := os.read(self._file, CHUNK):
            rest += piece
        found = []
        for line in bytes(rest).split(b"\n")[:-1]:
            try:
                values = json.loads(line)
            except (ValueError, RecursionError):
                break
            if not isinstance(values, dict):
                break
            found.append(values)
        return found

    def close(self) -> None:
        with file_errors(self.path):
            os.close(self._file)


def finite(figures: Mapping[str, float]) -> dict[str, float | None]:
    """Figures for a line of a journal: JSON has no word for what is not a number."""
    return {name: value if math.isfinite(value) else None for name, value in figures.items()}


def read_journal(path: Path) -> list[dict[str, Any]]:
    """The complete lines of a journal. NATError names one that is none."""
    lines = read_bytes(path, MAX_BYTES, "a journal").split(b"\n")[:-1] if path.exists() else []
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            values = json.loads(line)
            if not isinstance(values, dict):
                raise ValueError("not a JSON object")
        except (ValueError, RecursionError) as error:
            raise NATError(
                f"{path}, line {number}: not a line of a journal ({error}); put it back as it was"
            ) from error
        found.append(values)
    return found
