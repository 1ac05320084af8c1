"""Files: read within a limit, written whole or not at all, every trouble said in one line.

Whatever the packages read, they read through here (``nat_plugin.tensors`` for safetensors): a size that a file states
or a header declares is never trusted, memory follows what is really there, and packed data cannot unpack without end.
"""

from __future__ import annotations

import errno
import gzip
import os
import stat
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from nat_plugin.errors import NATError

__all__ = ["ReadError", "file_errors", "opened", "read_bytes", "read_text", "write_bytes", "write_text"]

CHUNK = 2**20
MAX_RATIO, ALWAYS = 100, 64 * 2**20
"""Packed data may unpack to so many times its size, and to ``ALWAYS`` bytes in any case: images and tables shrink to a
tenth at best, what is made to fill memory to a thousandth."""


class ReadError(NATError):
    """A file that cannot be read, or that holds more than it may."""


class Reader:
    """What a file holds, piece by piece, never more than ``limit`` bytes of it."""

    def __init__(self, path: Path, file: IO[bytes] | gzip.GzipFile, limit: int, what: str) -> None:
        self._path, self._file, self._limit, self._what, self._read = path, file, limit, what, 0

    def read(self, count: int) -> bytearray:
        """The next ``count`` bytes, fewer at the end of the file. ReadError if that is more than the limit."""
        found = read_up_to(self._file, min(count, self._limit - self._read + 1))
        self._read += len(found)
        if self._read > self._limit:
            raise ReadError(f"{self._path}: more than {self._limit:,} bytes, too large for {self._what}")
        return found

    def rest(self) -> bytearray:
        """All that follows."""
        return self.read(self._limit + 1)


def read_up_to(file: IO[bytes] | gzip.GzipFile, count: int) -> bytearray:
    """The next ``count`` bytes, fewer at the end. (``file.read(count)`` takes memory for all of them at once.)"""
    found = bytearray()
    while len(found) < count and (piece := file.read(min(CHUNK, count - len(found)))):
        found += piece
    return found


def most_unpacked(file: IO[bytes]) -> int:
    """How many bytes the packed content of an opened file may have."""
    return max(ALWAYS, MAX_RATIO * os.fstat(file.fileno()).st_size)


@contextmanager
def opened(path: Path, *, pipes: bool = False) -> Iterator[IO[bytes]]:
    """A regular file, for a library that reads it piece by piece; with ``pipes`` also what ``/dev/stdin`` or ``<(…)``
    of a shell give. ReadError, within too, for anything that cannot be read or unpacked."""
    try:
        with _open(path, pipes) as file:
            yield file
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise ReadError(f"{path}: cannot be read, a damaged gzip file ({error}): get it again") from error
    except OSError as error:
        raise ReadError(f"{path}: {error.strerror or error}") from error


def _open(path: Path, pipes: bool) -> IO[bytes]:
    try:
        # without O_NONBLOCK, a named pipe that nobody writes to would be waited for without end
        file = open(  # noqa: SIM115 - the caller closes it
            path, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0))
        )
    except ValueError as error:  # a zero byte in the name
        raise ReadError(f"{str(path)!r:.80}: {error}") from error
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        if not pipes:
            file.close()
            raise ReadError(f"{path}: is not a regular file")
        os.set_blocking(file.fileno(), True)
    return file


@contextmanager
def reader(path: Path, limit: int, what: str) -> Iterator[Reader]:
    """A file, unpacked if it is gzip, to be read up to ``limit`` bytes; ``what`` it is, for the error."""
    with opened(path) as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not packed:
            yield Reader(path, file, limit, what)
            return
        with gzip.open(file) as unpacked:
            yield Reader(path, unpacked, min(limit, most_unpacked(file)), what)


def read_bytes(path: Path, limit: int, what: str, *, pipes: bool = False) -> bytes:
    """All of a file, as it is. ReadError if it has more than ``limit`` bytes or cannot be read."""
    with opened(path, pipes=pipes) as file:
        return bytes(Reader(path, file, limit, what).rest())


def read_text(path: Path, limit: int, what: str, *, to_the_letter: bool = False) -> str:
    """The text of a file or pipe, line ends as ``\\n`` unless ``to_the_letter``. ReadError if it is too large, cannot
    be read, or is no text."""
    try:
        text = read_bytes(path, limit, what, pipes=True).decode()
    except UnicodeDecodeError as error:
        raise ReadError(f"{path}: this is not a text file") from error
    return text if to_the_letter else text.replace("\r\n", "\n").replace("\r", "\n")


class WriteError(NATError):
    """A file or folder that cannot be written. What was written before is still there, whole."""


@contextmanager
def file_errors(path: Path) -> Iterator[None]:
    """Turn a full disk, a read-only folder and the like into a WriteError."""
    try:
        yield
    except OSError as error:
        raise WriteError(f"{path}: cannot write: {error.strerror or error}; nothing written earlier is lost") from error


TEMPORARY = ".nat-tmp"
"""How the name of a file ends that is being written; what a killed process left has it too."""


def stands_there(path: Path) -> str | None:
    """What stands at a path that no file of ours is: a link, a folder, a device; None for a file, and for nothing."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(mode):
        return "a symbolic link"
    if stat.S_ISDIR(mode):
        return "a folder"
    return None if stat.S_ISREG(mode) else "no regular file"


def write_bytes(path: Path, data: bytes) -> None:
    """Fill a temporary file beside ``path``, then put it in its place in one step. WriteError if that cannot be, or if
    something else than a file is there: no link is followed, and no device replaced."""
    with file_errors(path):
        other = stands_there(path)
        if other is not None:
            raise WriteError(f"{path}: cannot write: there is {other}; remove it or choose another name")
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=TEMPORARY)
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
    """As ``write_bytes`` does it, in UTF-8."""
    write_bytes(path, text.encode())


def open_own(path: Path, *, new: bool = False) -> int:
    """A descriptor for reading a file and writing at its end, made where it is missing; with ``new`` it has to be.
    OSError for anything else than a file of one name: what is written would be seen elsewhere."""
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | (os.O_EXCL if new else 0)
    handle = os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), 0o644)
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        os.close(handle)
        what = "has a second name (a hard link)" if stat.S_ISREG(found.st_mode) else "is not a regular file"
        raise OSError(errno.EPERM, f"it {what}")
    return handle


def write_all(handle: int, data: bytes) -> None:
    """Write to a descriptor, however little it takes at a time."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]
