"""Images from the loaders of a user, and from folders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import nat_timm
import numpy as np
import pytest
import timm
import torch
from nat_timm.training.loaders import LoaderFeed, Loaders, batches, other_views, timm_loaders
from PIL import Image
from torch import Tensor

from nat_plugin.errors import NATError
from tests.adapters.timm.compaction import CPU, QUICK, X, Y, loaders, model


def test_images_of_any_float_are_taken() -> None:
    [(x, _)] = batches([(X.double(), Y)], CPU, (3, 16, 16), 10, "val_loader")
    assert x.dtype == torch.float32


def test_images_to_measure_on_are_drawn_of_all_classes() -> None:
    """Of a loader that is sorted by class: as many as asked for, none twice, always the same."""
    train, val = loaders()

    def drawn(images: int | None) -> tuple[Tensor, Tensor]:
        feed = LoaderFeed(Loaders(train, val, (3, 16, 16), 10), CPU, 0, images=images, batch=16)
        found = list(feed.reward(0, 0))
        assert all(len(y) <= 16 for _, y in found)
        return torch.cat([x for x, _ in found]), torch.cat([y for _, y in found])

    x, y = drawn(40)
    assert len(y) == 40
    assert len(y.unique()) > 7
    assert len({each.numpy().tobytes() for each in x}) == 40
    assert torch.equal(drawn(40)[0], x)
    every, labels = drawn(None)
    assert len(every) == 100
    assert (labels[1:] < labels[:-1]).any()


def test_all_of_the_images_to_measure_on_can_be_gone_through() -> None:
    feed = LoaderFeed(Loaders(*loaders(), (3, 16, 16), 10), CPU, 0, images=8, batch=16)
    found, order = feed.batches("selection")
    assert sum(len(y) for _, y in found) == len(order) == 100
    with pytest.raises(NATError, match="'test': there are images of train_loader and val_loader only"):
        feed.batches("test")


class Shuffled:
    """Digits in another order in every pass; half of them mirrored, if it ``mirrors``."""

    x, y = loaders()[0].dataset.tensors  # type: ignore[attr-defined]

    def __init__(self, mirrors: bool) -> None:
        self.mirrors, self.passes = mirrors, 0

    def __len__(self) -> int:
        return -(-len(self.y) // 10)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        self.passes += 1
        for chosen in torch.randperm(len(self.y)).split(10):
            mirrored = torch.rand(len(chosen), 1, 1, 1) < (0.5 if self.mirrors else 0)
            yield torch.where(mirrored, self.x[chosen].flip(3), self.x[chosen]), self.y[chosen]


def test_views_are_of_all_pictures_and_no_two_alike() -> None:
    def seen(train: Shuffled, count: int) -> list[bytes]:
        feed = LoaderFeed(Loaders(train, loaders()[1], (3, 16, 16), 10), CPU, 0, images=8, batch=16)
        return [image.numpy().tobytes() for x, _ in feed.views(count) for image in x]

    torch.manual_seed(0)
    pictures = {each.numpy().tobytes() for each in Shuffled.x}
    plain = Shuffled(mirrors=False)
    found = seen(plain, 1000)
    assert len(found) == len(pictures)
    assert set(found) == pictures
    assert plain.passes == 2  # the second has nothing new
    found = seen(Shuffled(mirrors=True), 1000)
    assert len(set(found)) == len(found)
    assert 1.5 * len(pictures) < len(found) <= 2 * len(pictures)
    assert set(found) <= pictures | {each.flip(2).numpy().tobytes() for each in Shuffled.x}
    first = Shuffled(mirrors=True)
    assert 30 <= len(seen(first, 30)) < 40
    assert first.passes == 1


def test_views_of_a_loader_that_does_not_end_do() -> None:
    def again() -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            yield Shuffled.x[:10], Shuffled.y[:10]

    assert sum(len(y) for _, y in other_views(again, 50)) == 10


def test_a_folder_without_images_is_one_line(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(NATError, match="no images in a folder for each class") as caught:
            timm_loaders(model(), str(folder), str(folder))
        assert "\n" not in str(caught.value)


def test_loaders_of_timm_have_the_transforms_of_the_model(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for part in ("train", "val"):
        for name in ("cat", "dog"):
            (tmp_path / part / name).mkdir(parents=True)
            for number in range(4):
                pixels = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / part / name / f"{number}.png")
    given = timm.create_model("mobilenetv2_035", num_classes=2)
    given.pretrained_cfg = given.pretrained_cfg | {"input_size": (3, 32, 32), "mean": (0.1, 0.2, 0.3)}
    train, val = timm_loaders(given, str(tmp_path), batch=4, workers=0)
    assert len(train) == len(val) == 2
    x, y = next(iter(val))
    assert (x.shape, y.tolist()) == ((4, 3, 32, 32), [0, 0, 0, 0])
    transform = timm.data.create_transform(**timm.data.resolve_data_config({}, model=given))
    torch.testing.assert_close(x[0], transform(Image.open(tmp_path / "val" / "cat" / "0.png")))
    result = nat_timm.compact(given, train, val, budget={"macs": "0.8x"}, **QUICK | {"input": (3, 32, 32)})
    assert result.best.cost.macs <= 0.8 * result.before.cost.macs


def test_folders_that_do_not_fit_together_or_the_model_are_one_line(tmp_path: Path) -> None:
    for part, names in (("train", "ab"), ("val", "ab"), ("other", "bc")):
        for name in names:
            (tmp_path / part / name).mkdir(parents=True)
            Image.new("RGB", (8, 8)).save(tmp_path / part / name / "0.png")
    given, train = timm.create_model("test_resnet", num_classes=2), str(tmp_path / "train")
    with pytest.raises(NATError, match="class 'a' is in only one of the two folders"):
        timm_loaders(given, train, str(tmp_path / "other"))
    with pytest.raises(NATError, match=r"the folders hold 2 classes, the model has 10: make it with num_classes=2"):
        timm_loaders(model(), train, str(tmp_path / "val"))
    with pytest.raises(NATError, match="has to hold the folders train and one of val, valid, validation"):
        timm_loaders(given, train)
    (tmp_path / "valid").mkdir()
    with pytest.raises(NATError, match="has to hold the folders train and one of"):
        timm_loaders(given, str(tmp_path))
