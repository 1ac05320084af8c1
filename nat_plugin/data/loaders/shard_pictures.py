"""Pictures in shards: tar files in which KEY.jpg and KEY.cls, a class number, make a sample, as WebDataset writes them.

Each shard is listed once, then any picture is read from its place. So the order follows from the seed and not from the
shards or from who reads them, every picture has its turn once in an epoch, and a split may divide a shard.
"""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nat_plugin.data.loaders.files import given_path, no_download, reading
from nat_plugin.data.loaders.image_folder import FORMATS, VALIDATION_NAMES, decoded
from nat_plugin.data.settings import DataSettings
from nat_plugin.data.stored import PictureForm, StoredPictures, StoredSource
from nat_plugin.errors import NATError
from nat_plugin.files import opened
from nat_plugin.fingerprints import Outside

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

WHAT = "a folder with shards: train-0000.tar, …, val-0000.tar, … or train/*.tar and val/*.tar, or *.tar alone"
LABEL = "cls"
MAX_CLASS, MAX_PICTURE = 10**6, 2**28
_FORMS = [suffix.removeprefix(".") for suffix in FORMATS]
_KEY = re.compile(r"((?:.*/)?[^./][^./]*)\.([^/]*)")
"""Of the name of a file in a shard: the sample that it is of, and what of it."""
_PART = re.compile(rf"(?:^|[-_.])(train|test|{'|'.join(VALIDATION_NAMES)})(?:[-_.\d]|$)")


class ShardPictures(StoredPictures):
    """Of one part: in which shard each picture is, from which byte on, how long it is, which format it has."""

    def __init__(self, shards: Sequence[Path]) -> None:
        self._shards = tuple(shards)
        self._rows = np.concatenate([_listed(number, path) for number, path in enumerate(shards)])
        self.labels = self._rows[:, 0]

    def read(self, number: int) -> Picture:
        _, shard, start, size, form = self._rows[number].tolist()
        path = self._shards[shard]
        where = path / f"byte {start}"
        with opened(path) as file, reading(where):
            file.seek(start)
            if len(found := file.read(size)) < size:
                raise NATError(f"{path}: ends before its picture at byte {start}: get it again")
            return decoded(io.BytesIO(found), FORMATS[f".{_FORMS[form]}"], str(where))

    def listing(self) -> bytes:
        """The SHA-256 of where everything is."""
        names = "\n".join(path.name for path in self._shards)
        return hashlib.sha256(names.encode() + b"\0" + self._rows.tobytes()).digest()


def shard_source(settings: DataSettings, form: PictureForm) -> StoredSource:
    """Pictures in tar files, which stay there. NATError for shards that are missing, damaged, empty or not labelled."""
    no_download(settings)
    root = given_path(settings, WHAT)
    with reading(root):
        found = _parts_of(root)
    parts = {name: ShardPictures(shards) for name, shards in found.items()}
    counts = np.bincount(parts["train"].labels)
    if not counts.all():
        raise NATError(
            f"{root}: no picture of train has class {int(np.argmin(counts))}, the largest is {len(counts) - 1}: number "
            "the classes from 0, without gaps"
        )
    for name, part in parts.items():
        if (largest := int(part.labels.max())) >= len(counts):
            raise NATError(f"{root}: {name} has class {largest}, train has classes from 0 to {len(counts) - 1}")
    listed = [each.listing() for each in parts.values()]
    outside = Outside.listed(root, sum(len(each.labels) for each in parts.values()), *listed)
    names = tuple(map(str, range(len(counts))))
    return StoredSource(parts["train"], names, form, (outside,), parts.get("test"), parts.get("val"))


def _parts_of(root: Path) -> dict[str, list[Path]]:
    """Shards by part, in the order of their names."""
    if not root.exists():
        raise NATError(f"{root}: there is no such file or folder: give {WHAT}")
    if root.is_file():
        return {"train": [root]}
    found: dict[str, list[Path]] = {}
    for path in sorted([*root.glob("*.tar"), *root.glob("*/*.tar")]):
        own = _PART.search(path.parent.name if path.parent != root else path.stem)
        name = own[1] if own else ""
        found.setdefault("val" if name in VALIDATION_NAMES else name, []).append(path)
    if not found:
        raise NATError(f"{root}: has no shard (*.tar): give {WHAT}")
    if set(found) == {""}:
        return {"train": found[""]}
    if "" in found:
        raise NATError(f"{found[''][0]}: its name has none of train, val and test, unlike others here: rename it")
    if "train" not in found:
        raise NATError(f"{root}: has no shard to train on: give {WHAT}")
    return found


class _Place(NamedTuple):
    """Of a picture in a shard."""

    start: int
    size: int
    form: int


def _listed(number: int, path: Path) -> NDArray[np.int64]:
    """Of each picture of a shard its class, the number of the shard, and its place: (pictures, 5)."""
    places: dict[str, _Place] = {}
    labels: dict[str, int] = {}
    try:
        with opened(path) as file, reading(path):
            for key, what, member in _members(file):
                if what == LABEL:
                    labels[key] = _label(file, member, path, key)
                elif what in _FORMS:
                    if key in places or not 0 < member.size <= MAX_PICTURE:
                        raise NATError(f"{path}: sample {key!r:.100} has two pictures, an empty or a huge one: fix it")
                    places[key] = _Place(member.offset_data, member.size, _FORMS.index(what))
    except tarfile.TarError as error:
        raise NATError(f"{path}: is not a valid shard, an uncompressed tar file ({error}): get it again") from error
    if not places:
        raise NATError(f"{path}: an empty shard, it has no picture ({' '.join(FORMATS)}): remove it")
    for key in sorted(places.keys() ^ labels.keys()):
        lacks = f"file {LABEL} with its class" if key in places else f"picture ({' '.join(FORMATS)})"
        raise NATError(f"{path}: sample {key!r:.100} has no {lacks}: write the shard again")
    return np.array([(labels[key], number, *place) for key, place in places.items()], dtype=np.int64)


def _members(file: IO[bytes]) -> Iterator[tuple[str, str, tarfile.TarInfo]]:
    """The files of samples, in order: of which sample each is, what of it, and where."""
    with tarfile.open(fileobj=file, mode="r:") as archive:
        for member in archive:
            archive.members = []  # type: ignore[attr-defined] # else it keeps all that it has seen
            named = _KEY.fullmatch(member.name)
            if named and member.isreg() and not member.issparse():
                yield named[1], named[2].lower(), member


def _label(file: IO[bytes], member: tarfile.TarInfo, path: Path, key: str) -> int:
    behind = file.tell()
    file.seek(member.offset_data)
    text = file.read(min(member.size, 20)).decode("ascii", "replace").strip()
    file.seek(behind)
    if not text.isdecimal() or int(text) >= MAX_CLASS:
        raise NATError(f"{path}: sample {key!r:.100} has the class {text!r}: it must be a number from 0")
    return int(text)
