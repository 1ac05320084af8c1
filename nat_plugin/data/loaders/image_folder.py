"""A folder of images for each class: path/train/CLASS/*, path/val/CLASS/* and path/test/CLASS/*, or path/CLASS/*."""

from __future__ import annotations

import os
import struct
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nat_plugin.data.loaders.files import MAX_BYTES, given_folder, no_download, reading
from nat_plugin.data.settings import DataSettings
from nat_plugin.data.source import ImageSource
from nat_plugin.errors import NATError
from nat_plugin.files import opened

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".bmp": "BMP", ".webp": "WEBP"}
MAX_PIXELS = 80_000_000  # of one image before it is resized
WHAT = "a folder with train/CLASS/*.png and, if you like, val/CLASS/*.png and test/CLASS/*.png, or with CLASS/*.png"
VALIDATION_NAMES = ("val", "valid", "validation")
"""Names of the folder of images to choose on."""
LARGE = "large_image_folder"
"""The loader that leaves images in their files."""


def load_image_folder(settings: DataSettings) -> ImageSource:
    """All images in colour, cut to a square around their middle and resized to `resolution`."""
    no_download(settings)
    root = given_folder(settings, WHAT)
    size = needed_resolution(settings, root)
    parts = find_parts(root)
    count = sum(len(names) for part in parts.values() for names in part.classes.values())
    if count * size * size * 3 > MAX_BYTES:
        raise NATError(
            f"{root}: {count} images of {size}x{size} take more than {MAX_BYTES} bytes: lower resolution, or read them "
            f"when they are needed, by name: {LARGE}"
        )
    x_train, y_train = _read(parts["train"], size)
    x_test, y_test = _read(parts["test"], size) if "test" in parts else (None, None)
    x_val, y_val = _read(parts["val"], size) if "val" in parts else (None, None)
    files = tuple(part.folder / name for part in parts.values() for name in part.names())
    names = tuple(parts["train"].classes)
    return ImageSource(x_train, y_train, x_test, y_test, names, files=files, x_val=x_val, y_val=y_val)


def needed_resolution(settings: DataSettings, root: Path) -> int:
    """NATError where none is said."""
    if settings.resolution is None:
        raise NATError(f"{root}: data set {settings.name!r} needs a resolution in pixels, for example resolution: 64")
    return settings.resolution


@dataclass(frozen=True)
class ClassFolders:
    """Names of image files by class, both in the order of the alphabet, so that every machine numbers them alike."""

    folder: Path
    classes: Mapping[str, tuple[str, ...]]

    def names(self) -> Iterator[str]:
        """Below the folder, class by class."""
        return (f"{name}/{file}" for name, files in self.classes.items() for file in files)

    def labels(self) -> NDArray[np.int64]:
        """Of these, by the number of the class."""
        counts = [len(files) for files in self.classes.values()]
        return np.repeat(np.arange(len(counts)), counts).astype(np.int64)


def find_parts(root: Path) -> dict[str, ClassFolders]:
    """``train`` and, where they are there, ``val`` and ``test``. NATError for a folder of another form."""
    with reading(root):
        parts = {"train": root / "train"} if (root / "train").is_dir() else {"train": root}
        if parts["train"] != root:
            parts |= {name: root / name for name in (*VALIDATION_NAMES, "test") if (root / name).is_dir()}
        found = {name: _listed(folder) for name, folder in parts.items()}
    classes = set(found["train"].classes)
    for name, part in found.items():
        if different := sorted(classes.symmetric_difference(part.classes)):
            raise NATError(f"{root}: class {different[0]!r} is in only one of train and {name}: make the folders alike")
    named = [name for name in VALIDATION_NAMES if name in found]
    if len(named) > 1:
        raise NATError(f"{root}: {' and '.join(named)} are both there: keep one folder of images to choose on")
    return {"val" if name in VALIDATION_NAMES else name: part for name, part in found.items()}


def _listed(folder: Path) -> ClassFolders:
    with os.scandir(folder) as entries:
        classes = sorted(each.name for each in entries if each.is_dir() and not each.name.startswith("."))
    if len(classes) < 2:
        raise NATError(f"{folder}: has {len(classes)} folders of classes, at least 2 are needed: give {WHAT}")
    found = {}
    for name in classes:
        with os.scandir(folder / name) as entries:
            files = sorted(
                each.name for each in entries if Path(each.name).suffix.lower() in FORMATS and each.is_file()
            )
        if not files:
            raise NATError(f"{folder / name}: has no image ({' '.join(FORMATS)}): add some or remove the folder")
        found[name] = tuple(files)
    return ClassFolders(folder, found)


def _read(part: ClassFolders, size: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    y = part.labels()
    x = np.empty((len(y), size, size, 3), dtype=np.uint8)
    for number, name in enumerate(part.names()):
        x[number] = read_image(part.folder / name, size)
    return x, y


def read_image(path: Path, size: int) -> NDArray[np.uint8]:
    """One image file as (size, size, 3), its middle square. NATError as for ``open_image``."""
    image = open_image(path)
    from PIL import Image, ImageOps

    return np.asarray(ImageOps.fit(image, (size, size), method=Image.Resampling.BILINEAR), dtype=np.uint8)


def open_image(path: Path) -> Picture:
    """One image file in RGB. NATError as for ``decoded``."""
    with opened(path) as file, reading(path):
        return decoded(file, FORMATS[path.suffix.lower()], str(path))


def decoded(file: IO[bytes], form: str, where: str) -> Picture:
    """An image of one of ``FORMATS`` in RGB; ``where`` it is begins every error.

    Raises:
        NATError: damaged, of another format than its name says, far too large, or Pillow is missing.
    """
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise NATError(f"images need Pillow ({error}): pip install 'nat-plugin[vision]'") from error
    try:
        with warnings.catch_warnings():
            # Pillow warns of what is refused below.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(file, formats=[form]) as image:
                # The header alone has been read so far: what it declares is checked before it is unpacked.
                if image.width * image.height > MAX_PIXELS:
                    raise NATError(
                        f"{where}: has {image.width}x{image.height} pixels, more than {MAX_PIXELS}: shrink it"
                    )
                found: Picture = image.convert("RGB")
                return found
    except UnidentifiedImageError as error:
        raise NATError(f"{where}: is not an image in the format {form}: replace or remove it") from error
    except (ValueError, SyntaxError, struct.error, Image.DecompressionBombError) as error:
        raise NATError(f"{where}: is not a valid image ({error}): replace or remove it") from error
