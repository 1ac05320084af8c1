"""``run.json``: what a resume needs, held to what it was when the run began."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from nat_plugin import __version__
from nat_plugin.errors import NATError
from nat_plugin.files import write_text
from nat_plugin.fingerprints import Outside, absolute, fingerprint, fingerprints
from nat_plugin.json_checksums import digest, seal, unseal
from nat_plugin.sources import read_text

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_R = TypeVar("_R")
RUN_FILE = "run.json"
_NOT_RESULTS = ("executor", "deterministic")
"""Keys of a recipe that say how it is carried through: what was begun with others is the same."""


@dataclass(frozen=True)
class RunSource:
    """The user's architecture as it was when the run began; kept in the folder: a resume needs no other file."""

    text: str
    adapter: str
    label: str


@dataclass(frozen=True)
class RunRecord:
    """``recipe`` is the resolved one. ``files``: a fingerprint of what was read from outside, by its path."""

    file: ClassVar[str] = RUN_FILE
    what: ClassVar[str] = "run"
    """What it is of, in messages."""

    recipe: dict[str, Any]
    origin: RunSource
    files: dict[str, str]
    run: str = ""
    """Which run this is; its checkpoints say it too."""

    @classmethod
    def of(cls, recipe: dict[str, Any], origin: RunSource, read: Sequence[Outside]) -> RunRecord:
        made = cls(recipe, origin, fingerprints(read))
        return replace(made, run=digest(json.loads(json.dumps({**asdict(made), "recipe": of_results(recipe)}))))

    def write(self, folder: Path) -> None:
        write_record(folder / self.file, self)

    @classmethod
    def place(cls, folder: Path) -> Path:
        """Its file in a folder. NATError where there is none."""
        path = folder / cls.file
        if not path.is_file():
            raise NATError(f"{folder}: this is not the folder of a {cls.what}: it has no {cls.file}")
        return path

    @classmethod
    def read(cls, folder: Path) -> RunRecord:
        """NATError if the folder is of no run, if the file was changed, or is of a version that cannot be gone on
        with."""

        def record(origin: dict[str, str], **others: Any) -> RunRecord:
            return cls(origin=RunSource(**origin), **others)

        return read_record(cls.place(folder), record, f"start a new {cls.what}")

    def moved(self, pairs: Mapping[str, str]) -> RunRecord:
        """With other places of what was read from outside. NATError for a place of which nothing was read."""
        places: dict[str, str] = {}
        for old, new in pairs.items():
            before, after = str(absolute(Path(old))), str(absolute(Path(new)))
            found = self._below(before)
            if not found:
                known = ", ".join(self.files) or "nothing"
                raise NATError(f"--moved {old}: the {self.what} read nothing there; it read {known}")
            places |= {path: after + path[len(before) :] for path in found}
        files = {places.get(path, path): known for path, known in self.files.items()}
        return replace(self, recipe=renamed(self.recipe, places), files=files)

    def pair(self, text: str) -> tuple[str, str]:
        """Old and new place in ``OLD=NEW``. Either may have a sign of equality in it: the old one is a place of which
        something was read, and the new one is there, as far as that can be."""
        parts = text.split("=")
        splits = [("=".join(parts[:at]), "=".join(parts[at:])) for at in range(1, len(parts))]
        if not splits:
            raise NATError(f"--moved {text[:60]!r}: write OLD=NEW")
        known = [each for each in splits if self._below(str(absolute(Path(each[0]))))]
        return next((each for each in known if os.path.exists(each[1])), (known or splits)[0])

    def _below(self, place: str) -> list[str]:
        """What was read of a file, or below a folder."""
        return [path for path in self.files if path == place or path.startswith(place.rstrip(os.sep) + os.sep)]

    def check_there(self, folder: Path) -> None:
        """NATError for what is there no more, or a file that is another now."""
        for path, known in self.files.items():
            if not os.path.isabs(path):
                continue  # the name of what is looked up anew
            if not os.path.exists(path):  # pathlib raises where a name is too long
                moved = f"nat resume {shlex.quote(str(folder))} --moved {shlex.quote(path)}=NEW"
                raise NATError(
                    f"{path}: it was read when the {self.what} began and is not there now; say where: {moved}"
                )
            if Path(path).is_file():
                check_same(path, known, fingerprint(Outside.all_of(Path(path))))

    def check_read(self, read: Sequence[Outside]) -> None:
        """NATError unless just the same was read again."""
        found = fingerprints(read)
        for path in sorted(self.files.keys() | found.keys()):
            check_same(path, self.files.get(path, "nothing"), found.get(path, "nothing"))


def write_record(path: Path, record: DataclassInstance) -> None:
    """As a document with a checksum, and the version that wrote it."""
    write_text(path, seal({"version": __version__, **asdict(record)}, indent=1))


def read_record(path: Path, record: Callable[..., _R], instead: str) -> _R:
    """What was written, by a function of its values. NATError if the file was changed, or is of a version that cannot
    be resumed; ``instead`` is what can be done where it is lost."""
    try:
        values = unseal(read_text(path))
        version = values.pop("version")
        if version != __version__:
            raise NATError(f"{path.parent}: begun by nat-plugin {version}, this is {__version__}; install that version")
        if not all(isinstance(values[name], dict) for name in ("recipe", "files")):
            raise TypeError("the recipe must be a mapping")
        return record(**values)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise NATError(f"{path}: damaged or changed ({error}); put it back as it was written, or {instead}") from error


def of_results(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """What of a recipe is about its results."""
    return {name: value for name, value in recipe.items() if name not in _NOT_RESULTS}


def check_same(path: str, known: str, found: str) -> None:
    """NATError unless the fingerprints of a path, then and now, are the same."""
    if known != found:
        counts = [each.split(",")[0] for each in (known, found) if " files" in each or each == "nothing"]
        what = f" ({' where it was '.join(reversed(counts))})" if len(set(counts)) == 2 else ""
        raise NATError(
            f"{path}: changed since it was first read{what}, and the result would be another; put it back as it was, "
            "or start again in another folder"
        )


def renamed(value: Any, places: Mapping[str, str]) -> Any:
    """Plain values with other texts in the place of some."""
    if isinstance(value, dict):
        return {name: renamed(each, places) for name, each in value.items()}
    if isinstance(value, list):
        return [renamed(each, places) for each in value]
    return places.get(value, value) if isinstance(value, str) else value
