"""CIFAR-10 and CIFAR-100: 60,000 colour images of 32x32, from the binary files or from torchvision's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nat_plugin.data.loaders.files import given_folder, need_file, reading, vision
from nat_plugin.data.settings import DataSettings
from nat_plugin.data.source import ImageSource
from nat_plugin.errors import NATError
from nat_plugin.files import opened, read_up_to

PIXELS = 3 * 32 * 32
NAMES10 = "airplane automobile bird cat deer dog frog horse ship truck"
NAMES100 = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can
castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin
elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster
man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck
pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk
skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger
tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm
"""


@dataclass(frozen=True)
class CifarFiles:
    """Where the files of one of the two data sets lie and what is in them."""

    torchvision: str  # the class in torchvision.datasets, which knows the pickles' names and checksums
    folder: str  # of the binary files
    train: tuple[str, ...]
    test: tuple[str, ...]
    records: tuple[int, int]  # in each file of train, of test
    label_bytes: int  # before each image, the last of them is the label
    names: tuple[str, ...]


CIFAR10 = CifarFiles(
    torchvision="CIFAR10",
    folder="cifar-10-batches-bin",
    train=tuple(f"data_batch_{i}.bin" for i in range(1, 6)),
    test=("test_batch.bin",),
    records=(10_000, 10_000),
    label_bytes=1,
    names=tuple(NAMES10.split()),
)
CIFAR100 = CifarFiles(
    torchvision="CIFAR100",
    folder="cifar-100-binary",
    train=("train.bin",),
    test=("test.bin",),
    records=(50_000, 10_000),
    label_bytes=2,
    names=tuple(NAMES100.split()),
)


def load_cifar10(settings: DataSettings) -> ImageSource:
    """CIFAR-10 with its own test part."""
    return load_cifar(settings, CIFAR10)


def load_cifar100(settings: DataSettings) -> ImageSource:
    """CIFAR-100 with its 100 fine labels and its own test part."""
    return load_cifar(settings, CIFAR100)


def load_cifar(settings: DataSettings, layout: CifarFiles) -> ImageSource:
    """The binary files below `settings.path` where they are there, otherwise torchvision's.

    Raises:
        NATError: files are missing, damaged or not the published ones, or torchvision is missing but needed.
    """
    root = given_folder(settings, f"the folder that has {layout.folder} or torchvision's files in it")
    with reading(root):
        for folder in (root / layout.folder, root):
            if (folder / layout.train[0]).is_file():
                return _read_binary(folder, layout)
    return _read_torchvision(root, layout, download=settings.download)


def _read_binary(folder: Path, layout: CifarFiles) -> ImageSource:
    train = [_read_records(folder / name, layout.records[0], layout) for name in layout.train]
    test = [_read_records(folder / name, layout.records[1], layout) for name in layout.test]
    parts = [np.concatenate(arrays) for arrays in (*zip(*train, strict=True), *zip(*test, strict=True))]
    x_train, y_train, x_test, y_test = parts
    files = tuple(folder / name for name in (*layout.train, *layout.test))
    return ImageSource(x_train, y_train, x_test, y_test, layout.names, files=files)


def _read_records(path: Path, records: int, layout: CifarFiles) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images (N, 3, 32, 32) and labels (N,) of one file."""
    need_file(path, f"the complete folder {layout.folder}")
    length = layout.label_bytes + PIXELS
    wanted = records * length
    with opened(path) as file:
        found = read_up_to(file, wanted + 1)
    if len(found) != wanted:
        size = f"more than {wanted}" if len(found) > wanted else f"{len(found)} bytes instead of {wanted}"
        raise NATError(f"{path}: has {size}: it is damaged, get it again")
    content = np.frombuffer(found, dtype=np.uint8).reshape(records, length)
    return content[:, layout.label_bytes :].reshape(-1, 3, 32, 32), content[:, layout.label_bytes - 1]


def _read_torchvision(root: Path, layout: CifarFiles, *, download: bool) -> ImageSource:
    dataset = getattr(vision(), layout.torchvision)
    folder = root / dataset.base_folder
    damaged = _first_damaged(dataset, folder)
    if damaged is not None and download:
        _download(dataset, root)
        damaged = _first_damaged(dataset, folder)
    if damaged is not None:
        raise NATError(
            f"{damaged}: is missing or not the published file: put {dataset.base_folder} or {layout.folder} "
            f"into {root}, or set download: true"
        )
    # These files are pickles, and opening a pickle runs whatever is in it. They are opened only after the check
    # above, which compares each with the checksum of the published file; torchvision repeats it before it opens them.
    with reading(folder):
        train, test = dataset(str(root), train=True), dataset(str(root), train=False)
    names = tuple(train.classes)
    files = tuple(folder / name for name, _ in _published(dataset))
    return ImageSource(train.data, np.array(train.targets), test.data, np.array(test.targets), names, files=files)


def _first_damaged(dataset: Any, folder: Path) -> Path | None:
    """The first file that is missing or does not have its published checksum; None if all are well."""
    from torchvision.datasets.utils import check_integrity

    for name, checksum in _published(dataset):
        with reading(folder / name):
            if not check_integrity(str(folder / name), checksum):
                return folder / name
    return None


def _published(dataset: Any) -> list[tuple[str, str]]:
    """Names and checksums of torchvision's files."""
    return [*dataset.train_list, *dataset.test_list, (dataset.meta["filename"], dataset.meta["md5"])]


def _download(dataset: Any, root: Path) -> None:
    from torchvision.datasets.utils import download_and_extract_archive

    try:
        download_and_extract_archive(dataset.url, str(root), filename=dataset.filename, md5=dataset.tgz_md5)
    except (OSError, RuntimeError, ValueError) as error:
        raise NATError(f"{root}: CIFAR cannot be downloaded ({error}): try again or put the files there") from error
