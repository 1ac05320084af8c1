"""A folder of images for each class: path/train/CLASS/*, path/val/CLASS/* and path/test/CLASS/*, or path/CLASS/*."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

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
VAL = ("val", "valid", "validation")
"""Names of the folder of images to choose on."""


def load_image_folder(settings: DataSettings) -> ImageSource:
    """All images in colour, cut to a square around their middle and resized to `resolution`."""
    no_download(settings)
    root = given_folder(settings, WHAT)
    size = settings.resolution
    if size is None:
        raise NATError(f"{root}: data set {settings.name!r} needs a resolution in pixels, for example resolution: 64")
    with reading(root):
        parts = {"train": root / "train"} if (root / "train").is_dir() else {"train": root}
        if parts["train"] != root:
            parts |= {name: root / name for name in (*VAL, "test") if (root / name).is_dir()}
        found = {name: _list(folder) for name, folder in parts.items()}
    classes = tuple(found["train"])
    for name, part in found.items():
        if tuple(part) != classes:
            different = min(set(part) ^ set(classes))
            raise NATError(f"{root}: class {different!r} is in only one of train and {name}: make the folders alike")
    named = [name for name in VAL if name in found]
    if len(named) > 1:
        raise NATError(f"{root}: {' and '.join(named)} are both there: keep one folder of images to choose on")
    count = sum(len(paths) for part in found.values() for paths in part.values())
    if count * size * size * 3 > MAX_BYTES:
        raise NATError(f"{root}: {count} images of {size}x{size} take more than {MAX_BYTES} bytes: lower resolution")
    read = {"val" if name in VAL else name: _read(part, size) for name, part in found.items()}
    x_train, y_train = read["train"]
    x_test, y_test = read.get("test", (None, None))
    x_val, y_val = read.get("val", (None, None))
    files = tuple(path for part in found.values() for paths in part.values() for path in paths)
    return ImageSource(x_train, y_train, x_test, y_test, classes, files=files, x_val=x_val, y_val=y_val)


def _list(folder: Path) -> dict[str, list[Path]]:
    """Image files by class, both in the order of their names, so that every machine numbers them alike."""
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if len(classes) < 2:
        raise NATError(f"{folder}: has {len(classes)} folders of classes, at least 2 are needed: give {WHAT}")
    found = {}
    for path in classes:
        images = sorted(file for file in path.iterdir() if file.suffix.lower() in FORMATS and file.is_file())
        if not images:
            raise NATError(f"{path}: has no image ({' '.join(FORMATS)}): add some or remove the folder")
        found[path.name] = images
    return found


def _read(classes: dict[str, list[Path]], size: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    y = np.repeat(np.arange(len(classes)), [len(paths) for paths in classes.values()]).astype(np.int64)
    x = np.empty((len(y), size, size, 3), dtype=np.uint8)
    for i, path in enumerate(path for paths in classes.values() for path in paths):
        x[i] = read_image(path, size)
    return x, y


def read_image(path: Path, size: int) -> NDArray[np.uint8]:
    """One image file as (size, size, 3), its middle square. NATError as for ``open_image``."""
    image = open_image(path)
    from PIL import Image, ImageOps

    return np.asarray(ImageOps.fit(image, (size, size), method=Image.Resampling.BILINEAR), dtype=np.uint8)


def open_image(path: Path) -> Picture:
    """One image file in RGB.

    Raises:
        NATError: damaged, of another format than its name says, far too large, or Pillow is missing.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise NATError(f"images need Pillow ({error}): pip install 'nat-plugin[vision]'") from error
    try:
        with opened(path) as file, reading(path), warnings.catch_warnings():
            # Pillow warns of what is refused below.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(file, formats=[FORMATS[path.suffix.lower()]]) as image:
                # The header alone has been read so far: what it declares is checked before it is unpacked.
                if image.width * image.height > MAX_PIXELS:
                    raise NATError(
                        f"{path}: has {image.width}x{image.height} pixels, more than {MAX_PIXELS}: shrink it"
                    )
                found: Picture = image.convert("RGB")
                return found
    except (ValueError, SyntaxError, struct.error, Image.DecompressionBombError) as error:
        raise NATError(f"{path}: is not a sound image ({error}): replace or remove it") from error
