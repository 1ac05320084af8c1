"""The npz loader: never a pickle, never more than it declares, one line for every damaged file."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nat_plugin.data import DataSettings, load
from nat_plugin.data.loaders.npz import read_arrays
from nat_plugin.errors import NATError

X = np.random.RandomState(0).randint(0, 256, (40, 6, 5, 3)).astype(np.uint8)
Y = np.tile(np.arange(2), 20)


def at(path: Path, **changes: Any) -> DataSettings:
    return DataSettings(name="npz", path=path, **changes)


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    def write(**arrays: Any) -> Path:
        np.savez(tmp_path / "a.npz", **{"x_train": X, "y_train": Y, **arrays})
        return tmp_path / "a.npz"

    return write


def entry(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def zipped(path: Path, **entries: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {"x_train": entry(X), "y_train": entry(Y), **entries}.items():
            archive.writestr(f"{name}.npy", content)
    return path


def test_without_a_test_part_and_names(written: Callable[..., Path]) -> None:
    data = load(at(written()), "cpu")
    assert data.class_names == ("0", "1")
    assert len(data.test) == 8


def test_with_everything_and_compressed(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x_train=X, y_train=Y, x_test=X[:3], y_test=Y[:3].astype(np.uint8), names=["cat", "dog"])
    data = load(at(path), "cpu")
    assert data.class_names == ("cat", "dog")
    assert np.array_equal(data.test.x.permute(0, 2, 3, 1).numpy(), X[:3])


class Trap:
    """Writes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_a_pickle_is_never_opened(written: Callable[..., Path], tmp_path: Path, fails: Any) -> None:
    trap = np.empty(1, dtype=object)
    trap[0] = Trap(tmp_path / "sprung")
    fails(at(written(names=trap)), tmp_path / "a.npz", "'names' is a pickle")
    assert not (tmp_path / "sprung").exists()


def test_a_bomb_is_refused_before_it_is_read(tmp_path: Path, fails: Any) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (10**7, 32, 32, 3)})
    fails(at(zipped(tmp_path / "a.npz", x_train=header.getvalue())), "x_train", "not as long as its header says")
    zipped(tmp_path / "b.npz", x_train=entry(np.zeros((1000, 32, 32, 3), np.uint8)))
    assert (tmp_path / "b.npz").stat().st_size < 20_000
    with pytest.raises(NATError, match=r"b\.npz: unpacks to 3072320 bytes, the limit is 1000000"):
        read_arrays(tmp_path / "b.npz", limit=1_000_000)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"x_val": X}, "unknown array 'x_val.npy': allowed are x_train"),
        ({"x_train": X.astype(float)}, "x_train is float64"),
        ({"y_train": Y[:5]}, "40 images"),
        ({"y_train": np.where(Y == 0, np.nan, 1)}, "NaN"),
        ({"names": np.arange(2)}, "names is int64"),
        ({"names": np.array(["a", "b", "c"])}, "no image of class 'c'"),
        ({"x_test": X}, "x_test and y_test"),
    ],
)
def test_wrong_arrays(written: Callable[..., Path], fails: Any, change: dict[str, Any], text: str) -> None:
    path = written(**change)
    fails(at(path), path, text)


def test_missing_array(tmp_path: Path, fails: Any) -> None:
    np.savez(tmp_path / "a.npz", x_train=X)
    fails(at(tmp_path / "a.npz"), "no array 'y_train'")


def test_wrong_files(tmp_path: Path, fails: Any) -> None:
    fails(DataSettings(name="npz"), "needs a path")
    fails(at(tmp_path / "a.npz"), tmp_path / "a.npz", "no such file")
    fails(at(tmp_path), tmp_path, "is not a file")
    fails(at(Path("~nobody-of-this-name/a.npz")), "no such home folder")
    fails(at(Path("a" * 5000)), "cannot be read")
    (tmp_path / "text.npz").write_text("hello")
    fails(at(tmp_path / "text.npz"), "is not an .npz file")
    (tmp_path / "empty.npz").touch()
    fails(at(tmp_path / "empty.npz"), "is not an .npz file")
    fails(at(tmp_path / "text.npz", download=True), "remove download")
    os.mkfifo(tmp_path / "pipe.npz")
    fails(at(tmp_path / "pipe.npz"), "is not a file")


def test_wrong_entries(tmp_path: Path, fails: Any) -> None:
    fails(at(zipped(tmp_path / "a.npz", x_train=b"hello")), "cannot be read")
    fails(at(zipped(tmp_path / "a.npz", x_train=entry(X)[:-1])), "not as long as its header says")
    fails(at(zipped(tmp_path / "a.npz", x_train=entry(X) + b"x")), "not as long as its header says")
    fails(at(zipped(tmp_path / "a.npz", names=entry(np.zeros(10, "V0")))), "not as long as its header says")
    with zipfile.ZipFile(tmp_path / "b.npz", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("x_train.npy", entry(X))
        archive.writestr("y_train.npy", entry(Y))
    fails(at(tmp_path / "b.npz"), "unusual way")
    with zipfile.ZipFile(tmp_path / "c.npz", "w") as archive:
        archive.writestr("x_train", entry(X))
    fails(at(tmp_path / "c.npz"), "unknown array 'x_train'")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_is_a_nat_error(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(zipped(tmp_path / "whole.npz", x_train=entry(X[:, :3, :3])).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)) | st.just(len(content)))]
    (tmp_path / "damaged.npz").write_bytes(content)
    with suppress(NATError):  # and nothing else
        read_arrays(tmp_path / "damaged.npz")
