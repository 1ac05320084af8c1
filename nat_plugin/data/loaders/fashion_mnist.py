"""Fashion-MNIST: 70,000 grey images of clothes, 28x28, in four idx files."""

from __future__ import annotations

from pathlib import Path

from nat_plugin.data.augment import Augment
from nat_plugin.data.loaders.files import given_folder, reading, vision
from nat_plugin.data.loaders.idx import read_idx
from nat_plugin.data.settings import DataSettings
from nat_plugin.data.source import ImageSource
from nat_plugin.errors import NATError

NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
WHAT = f"the folder with {', '.join(FILES)} (each may end in .gz), or one above FashionMNIST/raw"


def load_fashion_mnist(settings: DataSettings) -> ImageSource:
    """The files in `path` or below it as torchvision lays them out; has its own test part."""
    root = given_folder(settings, WHAT)
    with reading(root):
        files = _find(root)
        if files is None and settings.download:
            _download(root)
            files = _find(root)
    if files is None:
        raise NATError(f"{root}: is not complete: give {WHAT}, or set download: true")
    x_train, y_train, x_test, y_test = (read_idx(file, 3 - 2 * (i % 2)) for i, file in enumerate(files))
    return ImageSource(x_train, y_train, x_test, y_test, NAMES, Augment(crop=2), tuple(files))


def _find(root: Path) -> list[Path] | None:
    """The four files, all from one folder, unpacked ones first; None where no folder has them all."""
    for folder in (root / "FashionMNIST" / "raw", root):
        found = [path for name in FILES for path in [folder / name, folder / f"{name}.gz"] if path.is_file()]
        first = {path.name.removesuffix(".gz"): path for path in reversed(found)}
        if len(first) == len(FILES):
            return [first[name] for name in FILES]
    return None


def _download(root: Path) -> None:
    try:
        vision().FashionMNIST(str(root), download=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise NATError(f"{root}: Fashion-MNIST cannot be downloaded ({error}): try again or get the files") from error
