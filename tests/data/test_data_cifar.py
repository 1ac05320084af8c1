"""CIFAR: the binary files by numpy, torchvision's pickles only with the published checksums."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nat_plugin.data import DataSettings, load
from nat_plugin.data.loaders import cifar
from nat_plugin.data.loaders.cifar import CIFAR10, CIFAR100, CifarFiles, load_cifar, load_cifar10


def small(layout: CifarFiles, records: tuple[int, int]) -> Callable[[DataSettings], Any]:
    """The loader of a data set whose files have that many records."""
    return lambda settings: load_cifar(settings, dataclasses.replace(layout, records=records))


def write(folder: Path, layout: CifarFiles, records: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Binary files with random images; returns images (N, 3, 32, 32) and labels of the train part."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.RandomState(0)
    images, labels = [], []
    for names, count in ((layout.train, records[0]), (layout.test, records[1])):
        for name in names:
            content = rng.randint(0, 256, (count, layout.label_bytes + 3072)).astype(np.uint8)
            content[:, layout.label_bytes - 1] = np.arange(count) % len(layout.names)
            (folder / name).write_bytes(content.tobytes())
            if names is layout.train:
                images.append(content[:, layout.label_bytes :].reshape(-1, 3, 32, 32))
                labels.append(content[:, layout.label_bytes - 1])
    return np.concatenate(images), np.concatenate(labels)


@pytest.mark.parametrize("layout", [CIFAR10, CIFAR100], ids=["cifar10", "cifar100"])
@pytest.mark.parametrize("below", [True, False])
def test_binary(tmp_path: Path, layout: CifarFiles, below: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)  # it is not needed
    records = (len(layout.names) * 8, len(layout.names))
    images, labels = write(tmp_path / (layout.folder if below else ""), layout, records)
    data = load(DataSettings(name="c", path=tmp_path), "cpu", {"c": small(layout, records)})
    assert data.classes == len(layout.names) == {"CIFAR10": 10, "CIFAR100": 100}[layout.torchvision]
    assert len(data.test) == records[1]
    known = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
    for split in (data.weights, data.reward, data.selection):
        for image, label in zip(split.x.contiguous().numpy(), split.y.tolist(), strict=True):
            assert known.pop(image.tobytes()) == label
    assert not known


def test_binary_files_of_another_size(tmp_path: Path, fails: Any) -> None:
    folder = tmp_path / CIFAR10.folder
    write(folder, CIFAR10, (20, 20))
    settings = DataSettings(name="cifar10", path=tmp_path)
    fails(settings, folder / "data_batch_1.bin", "has 61460 bytes instead of 30730000")
    (folder / "data_batch_3.bin").unlink()
    fails(settings, folder / "data_batch_3.bin", "no such file", loader=small(CIFAR10, (20, 20)))


def test_binary_labels_out_of_range(tmp_path: Path, fails: Any) -> None:
    write(tmp_path, CIFAR100, (200, 100))
    path = tmp_path / "test.bin"
    content = bytearray(path.read_bytes())
    content[1] = 100
    path.write_bytes(content)
    fails(DataSettings(name="c", path=tmp_path), tmp_path, "label 100", loader=small(CIFAR100, (200, 100)))


def test_missing(tmp_path: Path, fails: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torchvision", reason="torchvision is not installed")
    monkeypatch.setattr(cifar, "_download", None)  # calling it would be a TypeError
    fails(DataSettings(name="cifar10"), "needs a path")
    fails(DataSettings(name="cifar100", path=tmp_path / "no"), tmp_path / "no", "no such folder")
    fails(DataSettings(name="cifar10", path=tmp_path), tmp_path, "data_batch_1: is missing", "download: true")
    (tmp_path / "file").touch()
    fails(DataSettings(name="cifar10", path=tmp_path / "file"), "is a file, but")


def test_without_torchvision(tmp_path: Path, fails: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)
    fails(DataSettings(name="cifar10", path=tmp_path), "pip install 'nat-plugin[vision]'")


def test_failed_download(tmp_path: Path, fails: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    utils = pytest.importorskip("torchvision.datasets.utils", reason="torchvision is not installed")

    def offline(*_: Any, **__: Any) -> None:
        raise OSError("no network")

    monkeypatch.setattr(utils, "download_and_extract_archive", offline)
    fails(DataSettings(name="cifar10", path=tmp_path, download=True), tmp_path, "no network")


class Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_a_pickle_of_unknown_checksum_is_never_opened(tmp_path: Path, fails: Any) -> None:
    datasets = pytest.importorskip("torchvision.datasets", reason="torchvision is not installed")
    folder = tmp_path / datasets.CIFAR10.base_folder
    folder.mkdir()
    for name in [*(name for name, _ in datasets.CIFAR10.train_list + datasets.CIFAR10.test_list), "batches.meta"]:
        (folder / name).write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    fails(DataSettings(name="cifar10", path=tmp_path), folder / "data_batch_1", "not the published file")
    assert not (tmp_path / "sprung").exists()


def test_a_verified_pickle_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("torchvision.datasets", reason="torchvision is not installed")
    rng = np.random.RandomState(0)

    def put(name: str, content: dict[str, Any]) -> str:
        path = tmp_path / datasets.CIFAR10.base_folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(pickle.dumps(content))
        return hashlib.md5(path.read_bytes()).hexdigest()

    def batch() -> dict[str, Any]:
        return {"data": rng.randint(0, 256, (40, 3072)).astype(np.uint8), "labels": (np.arange(40) % 10).tolist()}

    train, test = batch(), batch()
    monkeypatch.setattr(datasets.CIFAR10, "train_list", [["data_batch_1", put("data_batch_1", train)]])
    monkeypatch.setattr(datasets.CIFAR10, "test_list", [["test_batch", put("test_batch", test)]])
    meta = {**datasets.CIFAR10.meta, "md5": put("batches.meta", {"label_names": list(CIFAR10.names)})}
    monkeypatch.setattr(datasets.CIFAR10, "meta", meta)
    source = load_cifar10(DataSettings(name="cifar10", path=tmp_path))
    assert np.array_equal(source.x_train.transpose(0, 3, 1, 2).reshape(40, -1), train["data"])
    data = load(DataSettings(name="cifar10", path=tmp_path), "cpu")
    assert np.array_equal(data.test.x.reshape(40, -1).numpy(), test["data"])
    assert data.class_names == CIFAR10.names
