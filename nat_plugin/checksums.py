"""``checksums.json``: the SHA-256 of every result in a folder that is done, so that whoever reads one sees a change."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from pathlib import Path

from nat_plugin.errors import NATError
from nat_plugin.files import file_errors, read_text, write_text
from nat_plugin.fingerprints import Outside, fingerprint
from nat_plugin.json_checksums import seal, unseal

FILE = "checksums.json"
MAX_BYTES = 16 * 2**20
_DEPTH = 2
"""How deep below its folder a result lies at most: ``architecture.txt``, ``model/config.json``."""


def write_checksums(folder: Path, owner: str, given: Iterable[Path]) -> None:
    """Of what is there of files, and of folders with all in them, below ``folder``, which is done with that. ``owner``:
    which run or comparison it is of."""
    files = sorted({file for each in given if each.exists() for file in Outside.all_of(each).files})
    found = {each.relative_to(folder).as_posix(): _sum(each) for each in files}
    write_text(folder / FILE, seal({"owner": owner, "files": found}, indent=1))


def is_done(folder: Path) -> bool:
    return os.path.isfile(folder / FILE)


def is_result(path: Path) -> bool:
    """Whether a file, there or not, is one of those that its folder was done with."""
    return is_done(path.parent) and path.name in _read(path.parent)[1]


def reopen(folder: Path) -> None:
    """What is there may change from now on."""
    with file_errors(folder):
        (folder / FILE).unlink(missing_ok=True)


def check(folder: Path, owner: str, names: Collection[str] | None = None) -> None:
    """NATError, naming it, for a file of ``names`` (None: for any result) that is not as it was when the folder was
    done."""
    said, known = _read(folder)
    if said != owner:
        raise NATError(f"{folder / FILE}: this is the list of another folder; {_hint(folder)}")
    for name, value in known.items():
        if names is None or name in names:
            _check(folder, name, value)


def check_file(path: Path) -> None:
    """NATError for a result that is read by its own path and is not as it was when its folder was done."""
    parts = Path(os.path.abspath(path)).parts
    for depth in range(1, min(_DEPTH, len(parts) - 1) + 1):
        folder, name = Path(*parts[:-depth]), "/".join(parts[-depth:])
        if is_done(folder) and name in (known := _read(folder)[1]):
            _check(folder, name, known[name])


def _read(folder: Path) -> tuple[str, dict[str, str]]:
    path = folder / FILE
    try:
        values = unseal(read_text(path, MAX_BYTES, "a list of checksums"))
        return str(values["owner"]), {str(name): str(value) for name, value in values["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise NATError(f"{path}: damaged or changed ({error}); {_hint(folder)}") from error


def _check(folder: Path, name: str, known: str) -> None:
    path = folder / name
    if not os.path.isfile(path):
        raise NATError(f"{path}: file missing since this folder was finished; {_hint(folder)}")
    if _sum(path) != known:
        raise NATError(f"{path}: changed since this folder was finished; {_hint(folder)}")


def _sum(path: Path) -> str:
    return fingerprint(Outside(path, (path,)))


def _hint(folder: Path) -> str:
    return (
        f"put it back as it was, or remove {folder / FILE}: then `nat resume` (of a comparison the same `nat compare`) "
        "writes the results again"
    )
