"""Arrays in one .npz file, read so that nothing in it is executed and nothing unpacks beyond a limit."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import Any

from numpy.lib import format as npy
from numpy.typing import NDArray

from nat_plugin.data.loaders.files import MAX_BYTES, given_path, need_file, no_download
from nat_plugin.data.settings import DataSettings
from nat_plugin.data.source import ImageSource
from nat_plugin.errors import NATError
from nat_plugin.files import most_unpacked, opened

REQUIRED = ("x_train", "y_train")
OPTIONAL = ("x_test", "y_test", "names")
WHAT = "an .npz file with x_train, y_train and, if you like, x_test, y_test and names"


def load_npz(settings: DataSettings) -> ImageSource:
    """The arrays x_train, y_train [, x_test, y_test, names] of a file."""
    no_download(settings)
    path = given_path(settings, WHAT)
    arrays = read_arrays(path)
    return ImageSource(
        x_train=arrays["x_train"],
        y_train=arrays["y_train"],
        x_test=arrays.get("x_test"),
        y_test=arrays.get("y_test"),
        class_names=_names(arrays["names"], path) if "names" in arrays else (),
        files=(path,),
    )


def read_arrays(path: Path, limit: int = MAX_BYTES) -> dict[str, NDArray[Any]]:
    """Every array of the file, all headers and declared sizes checked before the first one is read.

    Raises:
        NATError: not an .npz file, damaged, missing or unknown arrays, a pickle inside, or more than `limit` bytes.
    """
    need_file(path, WHAT)
    try:
        with opened(path) as file, zipfile.ZipFile(file) as archive:
            names = _array_names(archive, path)
            total = sum(_declared(archive, name, path) for name in names)
            most = min(limit, most_unpacked(file))
            if total > most:
                raise NATError(f"{path}: unpacks to {total} bytes, the limit is {most}: give a smaller file")
            return {name: _read(archive, name) for name in names}
    except zipfile.BadZipFile as error:
        raise NATError(f"{path}: is not an .npz file or is damaged ({error}): give {WHAT}") from error
    except (ValueError, NotImplementedError, RuntimeError) as error:
        # numpy's word on a bad array, and zipfile's on encryption and on compression that it does not know.
        raise NATError(f"{path}: cannot be read ({error}): write it with numpy.savez") from error


def _array_names(archive: zipfile.ZipFile, path: Path) -> list[str]:
    names = [name.removesuffix(".npy") for name in archive.namelist()]
    allowed = ", ".join(REQUIRED + OPTIONAL)
    for name, member in zip(names, archive.namelist(), strict=True):
        if name == member or name not in REQUIRED + OPTIONAL:
            raise NATError(f"{path}: has an unknown array {member!r}: allowed are {allowed}")
    if len(set(names)) < len(names):
        raise NATError(f"{path}: has a duplicate array: write it with numpy.savez")
    for name in REQUIRED:
        if name not in names:
            raise NATError(f"{path}: has no array {name!r}: give {WHAT}")
    return names


def _declared(archive: zipfile.ZipFile, name: str, path: Path) -> int:
    """Bytes that array `name` takes, from its header, which must agree with the size that the archive states."""
    info = archive.getinfo(f"{name}.npy")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise NATError(f"{path}: array {name!r} is packed in an unusual way: write it with numpy.savez")
    with archive.open(info) as file:
        # Later versions allow headers of gigabytes, and numpy writes this one for every array allowed here.
        if npy.read_magic(file) != (1, 0):
            raise NATError(f"{path}: array {name!r} has an unknown header: write it with numpy.savez")
        shape, _, dtype = npy.read_array_header_1_0(file)
        if dtype.hasobject:
            raise NATError(f"{path}: array {name!r} is a pickle of objects, which is never opened: use plain numbers")
        size = math.prod(shape) * int(dtype.itemsize)
        if dtype.itemsize == 0 or min(shape, default=0) < 0 or info.file_size != file.tell() + size:
            raise NATError(f"{path}: array {name!r} is not as long as its header says: write the file again")
    return size


def _read(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    with archive.open(f"{name}.npy") as file:
        array: NDArray[Any] = npy.read_array(file, allow_pickle=False)
        return array


def _names(names: NDArray[Any], path: Path) -> tuple[str, ...]:
    if names.dtype.kind != "U" or names.ndim != 1 or len(names) == 0:
        raise NATError(
            f"{path}: names is {names.dtype}{names.shape}: it must be a 1-D array of strings, one for each class"
        )
    return tuple(str(name) for name in names)
