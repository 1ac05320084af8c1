"""Image folders: both layouts, sizes and formats, and damaged images."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nat_plugin.data import DataSettings, load
from nat_plugin.data.loaders import image_folder
from nat_plugin.data.loaders.image_folder import read_image
from nat_plugin.errors import NATError

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")

COLOURS = {"red": (255, 0, 0), "blue": (0, 0, 255)}


def write(folder: Path, count: int = 8, size: tuple[int, int] = (12, 9), suffix: str = "png") -> Path:
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            Image.new("RGB", size, colour).save(folder / name / f"{i}.{suffix}")
    return folder


def at(path: Path, **changes: Any) -> DataSettings:
    return DataSettings.model_validate({"name": "image_folder", "path": path, "resolution": 6, **changes})


def test_flat(tmp_path: Path) -> None:
    data = load(at(write(tmp_path)), "cpu")
    assert data.shape == (3, 6, 6)
    assert data.class_names == ("blue", "red")
    for split in (data.weights, data.reward, data.selection, data.test):
        expected = np.array([COLOURS[data.class_names[label]] for label in split.y.tolist()])
        assert np.array_equal(split.x.numpy(), np.broadcast_to(expected[:, :, None, None], split.x.shape))
    assert data.summary()["test_from"] == "carved out of the source"


def test_train_and_test(tmp_path: Path) -> None:
    write(tmp_path / "train")
    write(tmp_path / "test", count=3, size=(5, 5), suffix="jpg")
    (tmp_path / "train" / "red" / "notes.txt").write_text("not an image")
    data = load(at(tmp_path), "cpu")
    assert data.test.y.tolist() == [0, 0, 0, 1, 1, 1]
    assert len(data.weights) + len(data.reward) + len(data.selection) == 16


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_a_folder_to_choose_on_is_the_selection_split(tmp_path: Path, name: str) -> None:
    write(tmp_path / "train")
    write(tmp_path / name, count=3, size=(5, 5))
    data = load(at(tmp_path, splits={"test": 4}), "cpu")
    assert data.selection.y.tolist() == [0, 0, 0, 1, 1, 1]
    assert (len(data.weights), len(data.reward), len(data.test)) == (8, 4, 4)  # of the 16 in train
    write(tmp_path / "test", count=2)
    data = load(at(tmp_path), "cpu")
    assert (len(data.weights), len(data.reward), len(data.selection), len(data.test)) == (11, 5, 6, 4)


def test_folders_to_choose_on_that_are_unclear_are_refused(tmp_path: Path, fails: Any) -> None:
    write(tmp_path / "train")
    write(tmp_path / "val", count=2)
    fails(at(tmp_path, splits={"selection": 0.1}), "has a val part of its own, used whole: remove splits.selection")
    write(tmp_path / "valid", count=2)
    fails(at(tmp_path), "val and valid are both there: keep one")
    (tmp_path / "valid" / "red").rename(tmp_path / "valid" / "green")
    fails(at(tmp_path), "class 'green' is in only one of train and valid")


def test_grey_and_transparent_images_become_colour(tmp_path: Path) -> None:
    for mode in ("L", "LA", "RGBA", "P", "1"):
        Image.new(mode, (4, 4)).save(tmp_path / f"{mode}.png")
        assert read_image(tmp_path / f"{mode}.png", 2).shape == (2, 2, 3)


def test_wrong_folders(tmp_path: Path, fails: Any) -> None:
    fails(DataSettings(name="image_folder", resolution=6), "needs a path")
    fails(at(tmp_path / "no"), tmp_path / "no", "no such folder")
    fails(at(tmp_path), tmp_path, "at least 2")
    write(tmp_path / "train")
    fails(at(tmp_path, resolution=None), "needs a resolution")
    fails(at(tmp_path, download=True), "remove download")
    write(tmp_path / "test")
    (tmp_path / "test" / "red").rename(tmp_path / "test" / "green")
    fails(at(tmp_path), "class 'green' is in only one")
    (tmp_path / "train" / "empty").mkdir()
    fails(at(tmp_path), tmp_path / "train" / "empty", "has no image")


def test_wrong_images(tmp_path: Path, fails: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path) / "red" / "3.png"
    whole = path.read_bytes()
    path.write_text("no image")
    fails(at(tmp_path), path)
    path.write_bytes(whole[: len(whole) // 2])
    fails(at(tmp_path), path)
    Image.new("RGB", (4, 4)).save(path, format="JPEG")
    fails(at(tmp_path), path)
    path.write_bytes(whole)
    monkeypatch.setattr(image_folder, "MAX_PIXELS", 100)
    fails(at(tmp_path), "has 12x9 pixels, more than 100")


def test_too_much_for_memory(tmp_path: Path, fails: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_folder, "MAX_BYTES", 1000)
    fails(at(write(tmp_path)), "16 images of 6x6", "lower resolution")


def test_too_few_images(tmp_path: Path, fails: Any) -> None:
    fails(at(write(tmp_path, count=2)), tmp_path, "leave no image of 3 for reward")
    fails(at(write(tmp_path, count=3)), tmp_path, "has 3 of 6 images, too few for one in each split")


def test_without_pillow(tmp_path: Path, fails: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path)
    monkeypatch.setitem(sys.modules, "PIL", None)
    fails(at(tmp_path), "pip install 'nat-plugin[vision]'")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), suffix=st.sampled_from(["png", "jpg", "bmp"]))
def test_damage_is_a_nat_error(tmp_path: Path, data: st.DataObject, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    noise = np.random.RandomState(0).randint(0, 256, (8, 8, 3)).astype(np.uint8)
    Image.fromarray(noise).save(path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    with suppress(NATError):  # and nothing else
        read_image(path, 4)
