"""What is read from outside: the paths that a recipe names, and fingerprints that tell whether they were changed."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import AfterValidator

from nat_plugin.files import CHUNK, opened


@dataclass(frozen=True)
class Outside:
    """What was read of a path that a recipe names: of a folder these files, of a file itself. ``name``: what a recipe
    calls a file that lies elsewhere on another machine."""

    path: Path
    files: tuple[Path, ...]
    name: str | None = None
    listing: str | None = None
    """The fingerprint, where it is of more than can be read each time: of names and sizes."""

    @staticmethod
    def listed(path: Path, count: int, *digests: bytes) -> Outside:
        """So many pieces of which names and sizes have these checksums."""
        return Outside(path, (), listing=f"{count} by size, {sha256(b''.join(digests)).hexdigest()}")

    @staticmethod
    def all_of(path: Path) -> Outside:
        """A file, or every file below a folder."""
        below = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
        return Outside(path, tuple(below))


def fingerprints(read: Iterable[Outside]) -> dict[str, str]:
    """By path, or by name. NATError where a file cannot be read."""
    return {each.name or str(absolute(each.path)): fingerprint(each) for each in read}


def fingerprint(read: Outside) -> str:
    """The SHA-256 of a file; for a folder how many files were read, and one checksum over their names and contents."""
    if read.listing is not None:
        return read.listing
    if read.files == (read.path,):
        return _of_file(read.path)
    total = sha256()
    for file in sorted(read.files):
        name = os.fsencode(os.path.relpath(file, read.path))
        total.update(name + b"\0" + _of_file(file).encode() + b"\n")
    return f"{len(read.files)} files, {total.hexdigest()}"


def _of_file(path: Path) -> str:
    found = sha256()
    with opened(path) as file:
        while piece := file.read(CHUNK):
            found.update(piece)
    return found.hexdigest()


def absolute(path: Path) -> Path:
    """The same file from whatever folder; one in a home folder that is not there is left for the reader to refuse."""
    try:
        return Path(os.path.abspath(path.expanduser()))
    except RuntimeError:
        return path


def _if_there(name: str) -> str:
    path = absolute(Path(name))
    return str(path) if "\0" not in name and os.path.exists(path) else name


OutsidePath: TypeAlias = Annotated[Path, AfterValidator(absolute)]
"""A path in settings, written down so that a run goes on from whatever folder."""
OutsideName: TypeAlias = Annotated[str, AfterValidator(_if_there)]
"""The same of a text that may also be a name: a path where there is such a file."""
