"""Fashion-MNIST: idx files, gzipped or not, from either folder layout, and every way in which they can be broken."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nat_plugin.data import Augment, DataSettings, load
from nat_plugin.data.loaders import fashion_mnist
from nat_plugin.data.loaders.fashion_mnist import FILES
from nat_plugin.data.loaders.idx import read_idx
from nat_plugin.errors import NATError

DEBIAN = Path("/usr/share/datasets/fashion-mnist")  # of the package dataset-fashion-mnist
X = np.random.RandomState(0).randint(0, 256, (200, 28, 28)).astype(np.uint8)
Y = np.tile(np.arange(10), 20).astype(np.uint8)


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write(folder: Path, zipped: bool = False) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in zip(FILES, (X, Y, X[:50], Y[:50]), strict=True):
        if zipped:
            (folder / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
        else:
            (folder / name).write_bytes(idx(array))
    return folder


def at(path: Path, **changes: Any) -> DataSettings:
    return DataSettings(name="fashion_mnist", path=path, **changes)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("below", ["", "FashionMNIST/raw"])
def test_layouts(tmp_path: Path, zipped: bool, below: str) -> None:
    write(tmp_path / below, zipped)
    data = load(at(tmp_path), "cpu")
    assert data.shape == (1, 28, 28)
    assert data.class_names[9] == "Ankle boot"
    assert np.array_equal(data.test.x[:, 0].numpy(), X[:50])
    assert data.test.y.tolist() == Y[:50].tolist()
    assert (len(data.weights), len(data.reward), len(data.selection)) == (100, 50, 50)
    assert data.augment == Augment(crop=2)


@pytest.mark.needs_data
def test_the_real_files() -> None:
    if not DEBIAN.is_dir():
        pytest.skip("Debian's package dataset-fashion-mnist is not installed")
    data = load(at(DEBIAN), "cpu")
    assert data.summary()["splits"] == {"weights": 30000, "reward": 15000, "selection": 15000, "test": 10000}
    assert torch.bincount(data.weights.y).tolist() == [3000] * 10
    np.testing.assert_allclose(data.mean, 0.2860, atol=0.002)
    np.testing.assert_allclose(data.std, 0.3530, atol=0.002)


def test_missing(tmp_path: Path, fails: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fashion_mnist, "_download", None)  # calling it would be a TypeError
    fails(DataSettings(name="fashion_mnist"), "needs a path")
    fails(at(tmp_path / "no"), tmp_path / "no", "no such folder")
    fails(at(tmp_path), tmp_path, "not complete", "download: true")
    (write(tmp_path) / FILES[3]).unlink()
    fails(at(tmp_path), "not complete")
    fails(at(tmp_path / FILES[0]), "is a file, but")


def test_download_only_when_asked(tmp_path: Path, fails: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("torchvision.datasets", reason="torchvision is not installed")
    asked = []

    def offline(_: str, *, download: bool) -> None:
        asked.append(download)
        raise OSError("no network")

    monkeypatch.setattr(datasets, "FashionMNIST", offline)
    fails(at(tmp_path, download=True), tmp_path, "no network", "try again")
    assert asked == [True]
    write(tmp_path)
    load(at(tmp_path, download=True), "cpu")
    assert asked == [True]


@pytest.mark.parametrize("name", FILES)
def test_truncated(tmp_path: Path, fails: Any, name: str) -> None:
    path = write(tmp_path) / name
    path.write_bytes(path.read_bytes()[:-1])
    fails(at(tmp_path), path, "is truncated")
    path.write_bytes(b"\0\0")
    fails(at(tmp_path), path, "is not an idx file")


def test_truncated_and_damaged_gzip(tmp_path: Path, fails: Any) -> None:
    path = write(tmp_path, zipped=True) / f"{FILES[0]}.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    fails(at(tmp_path), path, "cannot be read")
    path.write_bytes(whole[:5000] + bytes(5000) + whole[10_000:])
    fails(at(tmp_path), path)
    path.write_bytes(b"no gzip at all")
    fails(at(tmp_path), path, "is not an idx file")


def test_more_than_is_declared(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(idx(Y) + bytes(50_000_000)))
    with pytest.raises(NATError, match=r"a\.gz: goes on after its end \(200 bytes are declared\)"):
        read_idx(path, 1)


def test_header_is_strict(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(idx(Y))
    assert np.array_equal(read_idx(path, 1), Y)
    with pytest.raises(NATError, match="3 dimensions"):
        read_idx(path, 3)
    path.write_bytes(bytes([0, 0, 13, 1]) + idx(Y)[4:])  # 13: float
    with pytest.raises(NATError, match="not an idx file of bytes"):
        read_idx(path, 1)
    path.write_bytes(bytes([0, 0, 8, 3]) + struct.pack(">3I", 2**32 - 1, 2**32 - 1, 2**32 - 1))
    with pytest.raises(NATError, match="the limit is"):
        read_idx(path, 3)


def test_labels_out_of_range(tmp_path: Path, fails: Any) -> None:
    (write(tmp_path) / FILES[1]).write_bytes(idx(np.full(200, 10, np.uint8)))
    fails(at(tmp_path), tmp_path, "label 10", "0..9")
