"""From settings to a data set: the real digits, coloured images, and what every source is checked for."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nat_plugin.data import LOADERS, Augment, DataSet, DataSettings, Images, ImageSource, load
from nat_plugin.data.dataset import SPLITS
from nat_plugin.data.loading import channel_statistics, resized


def test_digits(device: torch.device) -> None:
    data = load(DataSettings(), device)
    assert data.shape == (1, 8, 8)
    assert data.classes == 10
    assert data.augment == Augment(crop=1, flip=False, cutout=0)
    assert data.weights.x.dtype == torch.uint8
    assert data.weights.x.device.type == data.test.y.device.type == device.type
    assert int(data.weights.x.max()) == 255
    assert sum(len(getattr(data, split)) for split in SPLITS) == 1797
    for split in SPLITS:
        per_class = torch.bincount(getattr(data, split).y)
        assert per_class.max() - per_class.min() <= 4  # the source itself has 174 to 183 of a class


def test_digits_are_all_used_once() -> None:
    from sklearn.datasets import load_digits

    expected = Counter(np.rint(image * 255 / 16).astype(np.uint8).tobytes() for image in load_digits().images)
    data = load(DataSettings(), "cpu")
    found = Counter(image.tobytes() for split in SPLITS for image in getattr(data, split).x.numpy())
    assert found == expected


def test_summary_is_json() -> None:
    summary = load(DataSettings.model_validate({"splits": {"seed": 3}}), "cpu").summary()
    assert json.loads(json.dumps(summary)) == summary
    assert summary["splits"] == {"weights": 719, "reward": 360, "selection": 359, "test": 359}
    assert summary["shape"] == [1, 8, 8]
    assert summary["split_seed"] == 3
    assert summary["test_from"] == "carved out of the source"


def test_a_test_part_of_the_source_stays_untouched(coloured: Path, device: torch.device) -> None:
    data = load(DataSettings(name="npz", path=coloured, limit=1000), device)
    with np.load(coloured) as arrays:
        assert np.array_equal(data.test.x.permute(0, 2, 3, 1).cpu().numpy(), arrays["x_test"])
        assert np.array_equal(data.test.y.cpu().numpy(), arrays["y_test"])
        train = {image.tobytes(): label for image, label in zip(arrays["x_train"], arrays["y_train"], strict=True)}
        assert data.class_names == tuple(arrays["names"])
    assert [len(getattr(data, split)) for split in SPLITS] == [500, 250, 250, 200]
    for images in (data.weights, data.reward, data.selection):
        assert set(torch.bincount(images.y).tolist()) == {len(images) // 10}
        for image, label in zip(images.x.permute(0, 2, 3, 1).cpu().numpy(), images.y.tolist(), strict=True):
            assert train.pop(np.ascontiguousarray(image).tobytes()) == label  # each once, with its own label
    assert data.summary()["test_from"] == "the source's own test part"


def test_statistics_are_of_the_weights_split_only(coloured: Path) -> None:
    data = load(DataSettings(name="npz", path=coloured, limit=1000), "cpu")
    x = data.weights.x.double() / 255
    np.testing.assert_allclose(data.mean, x.mean((0, 2, 3)).numpy(), rtol=1e-12)
    np.testing.assert_allclose(data.std, x.std((0, 2, 3), correction=0).numpy(), rtol=1e-12)


def test_a_channel_of_one_colour_can_be_normalised() -> None:
    assert channel_statistics(np.full((5, 2, 2, 1), 51, dtype=np.uint8)) == ((0.2,), (1.0,))


def test_resolution(coloured: Path) -> None:
    data = load(DataSettings(name="npz", path=coloured, limit=100, resolution=16), "cpu")
    assert data.shape == (3, 16, 16)
    assert data.test.x.shape == (200, 3, 16, 16)
    assert data.test.x.dtype == torch.uint8
    x = np.arange(4 * 4, dtype=np.uint8).reshape(1, 4, 4, 1) * 16
    # Halving with a triangle filter weighs the nearest three pixels of a row 3:3:1.
    rows = np.array([[3, 3, 1, 0], [0, 1, 3, 3]]) / 7
    assert np.array_equal(resized(x, 2)[0, :, :, 0], np.rint(rows @ x[0, :, :, 0] @ rows.T))
    assert resized(x, 4) is x


def test_images_move_and_are_picked(device: torch.device) -> None:
    images = Images(torch.zeros(3, 1, 2, 2, dtype=torch.uint8), torch.arange(3)).to(device)
    assert images.x.device.type == device.type
    assert images.pick(torch.tensor([2, 0], device=device)).y.tolist() == [2, 0]
    with pytest.raises(dataclasses.FrozenInstanceError):
        images.y = images.y  # type: ignore[misc]


def test_unknown_name_lists_what_is_allowed(fails: Any) -> None:
    fails(DataSettings(name="cifra10"), "'cifra10'", "did you mean 'cifar10'?", ", ".join(sorted(LOADERS)))
    fails(DataSettings(name="mine2"), "mine", "digits", loader=None)


def test_digits_refuse_what_they_would_ignore(fails: Any) -> None:
    fails(DataSettings(path=Path("x")), "remove path")
    fails(DataSettings(download=True), "remove download")


def made(**changes: Any) -> ImageSource:
    labels = np.tile(np.arange(2), 20)
    source = ImageSource(np.zeros((40, 6, 5, 3), np.uint8), labels, None, None, ("a", "b"))
    return dataclasses.replace(source, **changes)


def from_plugin(source: ImageSource, **settings: Any) -> DataSet:
    return load(DataSettings.model_validate({"name": "mine", **settings}), "cpu", {"mine": lambda _: source})


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((40, 6, 5, 3), (3, 6, 5)), ((40, 3, 6, 5), (3, 6, 5)), ((40, 6, 5), (1, 6, 5)), ((40, 6, 5, 1), (1, 6, 5))],
)
def test_layouts(shape: tuple[int, ...], expected: tuple[int, int, int]) -> None:
    x = np.random.RandomState(0).randint(0, 256, shape).astype(np.uint8)
    data = from_plugin(made(x_train=x))
    assert data.shape == expected
    assert data.weights.x.is_contiguous(memory_format=torch.channels_last)


def test_loader_chooses_the_augmentation_and_settings_change_it() -> None:
    assert from_plugin(made()).augment == Augment()
    assert from_plugin(made(augment=Augment(crop=2))).augment == Augment(crop=2)
    assert from_plugin(made(augment=Augment(crop=2)), augment={"flip": False}).augment == Augment(crop=2, flip=False)


def test_splits_do_not_share_memory_with_the_loader() -> None:
    source = made(x_test=np.zeros((4, 6, 5, 3), np.uint8), y_test=np.zeros(4, np.int64))
    data = from_plugin(source)
    data.test.x.fill_(7)
    data.test.y.fill_(1)
    assert source.x_test is not None
    assert source.y_test is not None
    assert not source.x_test.any()
    assert not source.y_test.any()


@pytest.mark.parametrize(
    ("changes", "texts"),
    [
        ({"x_train": np.zeros((40, 6, 5, 3))}, ["x_train is float64", "uint8"]),
        ({"x_train": np.zeros((40, 6, 5, 2), np.uint8)}, ["x_train has shape 40x6x5x2", "1, 3 or 4"]),
        ({"x_train": np.zeros((40, 6), np.uint8)}, ["x_train has shape 40x6"]),
        ({"x_train": np.zeros((0, 6, 5, 3), np.uint8)}, ["no pixel"]),
        ({"y_train": np.zeros(39, np.int64)}, ["y_train has shape 39", "40 images"]),
        ({"y_train": np.zeros((40, 1), np.int64)}, ["y_train has shape 40x1"]),
        ({"y_train": np.full(40, np.nan)}, ["NaN"]),
        ({"y_train": np.zeros(40)}, ["y_train is float64"]),
        ({"y_train": np.array(["a"] * 40)}, ["y_train is <U1"]),
        ({"y_train": np.arange(40)}, ["label 39", "0..1"]),
        ({"y_train": np.arange(40) - 1}, ["label -1"]),
        ({"y_train": np.full(40, 2**64 - 1, np.uint64)}, [str(2**64 - 1)]),
        ({"y_train": np.full(40, 10**9), "class_names": ()}, ["label 1000000000", "without gaps"]),
        ({"y_train": np.zeros(40, np.int64)}, ["no image of class 'b'"]),
        ({"class_names": ("a",)}, ["at least 2"]),
        ({"class_names": ("a", "a")}, ["same name"]),
        ({"x_test": np.zeros((4, 6, 5, 3), np.uint8)}, ["x_test and y_test"]),
        ({"x_test": np.zeros((4, 5, 5, 3), np.uint8), "y_test": np.zeros(4, int)}, ["5x5x3", "6x5x3"]),
        ({"x_test": np.zeros((4, 6, 5, 3), np.uint8), "y_test": np.full(4, 2)}, ["y_test has label 2"]),
        ({"augment": Augment(crop=5)}, ["augment.crop is 5", "6x5"]),
        ({"augment": Augment(cutout=9)}, ["augment.cutout is 9"]),
    ],
)
def test_every_source_is_checked(fails: Any, changes: dict[str, Any], texts: list[str]) -> None:
    fails(DataSettings(name="mine"), "data set 'mine'", *texts, loader=lambda _: made(**changes))
