"""Pictures that stay in their files, in folders and in shards: the same images whoever decodes them, and bad input."""

from __future__ import annotations

import gzip
import io
import os
import random
import shutil
import signal
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nat_plugin.data import DataSet, DataSettings, eval_batches, load, take, train_batches
from nat_plugin.data.loaders import folder_pictures
from nat_plugin.errors import NATError
from nat_plugin.fingerprints import fingerprints
from nat_plugin.parallel.ranks import Ranks
from nat_plugin.plugins import plugins
from nat_plugin.runs.progress import Silent
from nat_plugin.runs.recipe import plan
from nat_plugin.runs.run import start
from tests.pictures import write_shard, write_shards, write_tree

timm = pytest.importorskip("timm")
Image = pytest.importorskip("PIL.Image")

KINDS = ("large_image_folder", "webdataset")


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same pictures in both forms."""
    root = tmp_path_factory.mktemp("pictures")
    tree = write_tree(root / "tree", {"train": 16, "val": 5})
    return {"large_image_folder": tree, "webdataset": write_shards(root / "shards", tree)}


def read(name: str, path: Path, **changes: Any) -> DataSet:
    values = {"name": name, "path": path, "resolution": 24, "workers": 0, **changes}
    return load(DataSettings.model_validate(values), "cpu", plugins().datasets)


def epoch(data: DataSet, seed: int = 0, **changes: Any) -> list[tuple[Tensor, Tensor]]:
    return list(train_batches(data, data.weights, 6, torch.Generator().manual_seed(seed), **changes))


def same(one: list[tuple[Tensor, Tensor]], other: list[tuple[Tensor, Tensor]]) -> bool:
    return len(one) == len(other) and all(
        torch.equal(x, other_x) and torch.equal(y, other_y)
        for (x, y), (other_x, other_y) in zip(one, other, strict=True)
    )


def fails(*texts: object, name: str, path: Path, **changes: Any) -> None:
    with pytest.raises(NATError) as caught:
        data = read(name, path, **changes)
        epoch(data)
    assert "\n" not in str(caught.value)
    for text in texts:
        assert str(text) in str(caught.value)


def test_an_epoch_follows_from_the_seed_alone_in_either_form_and_with_any_number_of_workers(
    places: dict[str, Path],
) -> None:
    first = epoch(read("large_image_folder", places["large_image_folder"]))
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1]
    for name, path in places.items():
        for workers in (0, 2):
            data = read(name, path, workers=workers)
            assert same(epoch(data), first)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert np.array_equal(np.random.get_state()[1], before[2])
    assert not same(epoch(data, seed=1), first)
    assert first[0][0].is_contiguous(memory_format=torch.channels_last)
    changed = take(data.weights, 4, torch.Generator().manual_seed(0))
    assert not same(
        list(eval_batches(data, changed, 4)), list(eval_batches(data, changed, 4, augment=torch.Generator()))
    )
    assert [len(y) for _, y in eval_batches(data, data.selection, 6)] == [6, 4]


def test_batches_come_by_the_loader_of_timm(places: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    create = timm.data.create_loader
    monkeypatch.setattr(timm.data, "create_loader", lambda *args, **more: asked.append(more) or create(*args, **more))
    for name, path in places.items():
        assert len(epoch(read(name, path, workers=1))) > 1
    assert [each["num_workers"] for each in asked] == [1, 1]


def test_splits_are_disjoint_and_val_is_to_choose_on_or_the_test_as_papers_have_it(places: dict[str, Path]) -> None:
    for name, path in places.items():
        data = read(name, path)
        parts = [set(each.index.tolist()) for each in (data.weights, data.reward, data.test)]  # type: ignore[attr-defined]
        assert sum(map(len, parts)) == len(set.union(*parts)) == 32
        assert (len(data.selection), data.own_test) == (10, False)
        data = read(name, path, splits={"val": "test"})
        assert (len(data.weights), len(data.reward), len(data.selection), len(data.test)) == (16, 8, 8, 10)
        assert data.test.y.tolist() == [0] * 5 + [1] * 5
        both = data.weights.joined(data.reward)
        assert len(both) == 24
    inner = {"name": "image_folder", "path": places["large_image_folder"], "resolution": 8, "splits": {"val": "test"}}
    assert len(load(DataSettings.model_validate(inner), "cpu").test) == 10


def test_every_device_decodes_its_part_of_a_batch(places: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    class Numbered(Ranks):
        number, count = 1, 2

    data = read("webdataset", places["webdataset"])
    whole, asked = epoch(data), []
    shown = data.weights.pictures.read  # type: ignore[attr-defined]
    monkeypatch.setattr(type(data.weights.pictures), "read", lambda self, number: asked.append(number) or shown(number))  # type: ignore[attr-defined]
    part = epoch(data, ranks=Numbered())
    assert same(part, [(x[1::2], y[1::2]) for x, y in whole])
    assert len(asked) == sum(len(y) for _, y in whole) // 2


def test_no_picture_is_opened_before_a_batch_wants_it(places: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []
    found = folder_pictures.open_image
    monkeypatch.setattr(folder_pictures, "open_image", lambda path: opened.append(path) or found(path))
    data = read("large_image_folder", places["large_image_folder"])
    batches = train_batches(data, data.weights, 6, torch.Generator().manual_seed(0))
    assert opened == []
    next(batches)
    assert len(opened) < len(data.weights)


def test_other_pictures_at_the_same_place_are_told(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree", {"train": 8}, size=20)
    shards = write_shards(tmp_path / "shards", tree)
    for name, path in (("large_image_folder", tree), ("webdataset", shards)):
        before = fingerprints(read(name, path).outside)
        assert fingerprints(read(name, path).outside) == before
        if path is tree:
            (tree / "train" / "cat" / "000.jpg").write_bytes((tree / "train" / "dog" / "001.jpg").read_bytes())
        else:
            shutil.rmtree(shards)
            write_shards(shards, tree)
        assert fingerprints(read(name, path).outside) != before


def test_a_tree_that_is_none_is_a_line(tmp_path: Path) -> None:
    bad = partial(fails, name="large_image_folder")
    bad("there is no such folder", path=tmp_path / "none")
    (tmp_path / "empty").mkdir()
    bad("has 0 folders of classes", path=tmp_path / "empty")
    tree = write_tree(tmp_path / "tree", {"train": 6, "val": 2}, size=20)
    (tree / "val" / "wolf").mkdir()
    bad("wolf", "has no image", path=tree)
    shutil.copy(tree / "val" / "cat" / "000.jpg", tree / "val" / "wolf")
    bad("class 'wolf' is in only one of train and val", path=tree)
    bad("transform: timm refuses this", path=tree, transform={"auto_augment": "nonsense"})
    fails("transform: data set 'digits' is read into memory", name="digits", path=None, resolution=8, transform={})


@pytest.mark.parametrize("workers", [0, 1])
def test_a_picture_that_cannot_be_read_is_a_line_that_names_it(tmp_path: Path, workers: int) -> None:
    tree = write_tree(tmp_path / "tree", {"train": 8}, size=20)
    for path in (tree / "train" / "dog").iterdir():
        path.write_bytes(path.read_bytes()[:200])
    shards = write_shards(tmp_path / "shards", tree)
    bad = partial(fails, "train", "it may be damaged, get it again", workers=workers)
    bad("dog", name="large_image_folder", path=tree)
    bad(".tar/byte ", name="webdataset", path=shards)


def _sample(label: bytes = b"0", **files: bytes) -> dict[str, bytes]:
    buffer = io.BytesIO()
    Image.new("RGB", (9, 9)).save(buffer, "jpeg")
    return {"jpg": buffer.getvalue(), "cls": label, **files}


def test_shards_that_are_none_are_a_line(tmp_path: Path) -> None:
    def bad(*texts: str, **shards: dict[str, Any] | bytes) -> None:
        shutil.rmtree(tmp_path / "shards", ignore_errors=True)
        (tmp_path / "shards").mkdir()
        for name, samples in shards.items():
            path = tmp_path / "shards" / f"{name.replace('_', '-')}.tar"
            path.write_bytes(samples) if isinstance(samples, bytes) else write_shard(path, samples)
        fails(*texts, name="webdataset", path=tmp_path / "shards")

    good = {"a": _sample(), "b": _sample(b"1")}
    bad("has no shard (*.tar)")
    fails("there is no such file or folder", name="webdataset", path=tmp_path / "none")
    bad("train-0.tar", "an empty shard", train_0={})
    bad("train-0.tar: is not a valid shard", train_0=b"")
    bad("train-1.tar: an empty shard", train_0=good, train_1={"c": {"txt": b"text"}})
    packed = gzip.compress(write_shard(tmp_path / "whole.tar", good).read_bytes())
    bad("is not a valid shard, an uncompressed tar file", train_0=packed)
    bad("is not a valid shard", train_0=(tmp_path / "whole.tar").read_bytes()[:1200])
    bad("sample 'b' has no file cls", train_0={"a": _sample(), "b": {"jpg": b"x"}})
    bad("sample 'b' has no picture", train_0={"a": _sample(), "b": {"cls": b"1"}})
    bad("sample 'a' has the class 'cat'", train_0={"a": _sample(b"cat")})
    bad("sample 'a' has two pictures", train_0={"a": _sample(png=b"x")})
    bad("no picture of train has class 1, the largest is 2", train_0={"a": _sample(), "b": _sample(b"2")})
    bad("val has class 7, train has classes from 0 to 1", train_0=good, val_0={"c": _sample(b"7")})
    bad("its name has none of train, val and test", train_0=good, other=good)
    bad("has no shard to train on", val_0=good)


def test_a_process_that_is_killed_while_it_decodes_is_a_line(
    places: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    data = read("webdataset", places["webdataset"], workers=1)
    monkeypatch.setattr(type(data.weights.pictures), "read", killed)  # type: ignore[attr-defined]
    with pytest.raises(NATError, match="a process that decodes images was lost") as caught:
        epoch(data)
    assert "\n" not in str(caught.value)


def test_a_model_of_timm_is_adapted_and_saved_with_what_it_was_shown(places: dict[str, Path], tmp_path: Path) -> None:
    import timm

    transform = {"mean": [0.5] * 3, "std": [0.5] * 3, "crop_pct": 0.9}
    recipe = {
        "source": "test_resnet",
        "evaluator": {
            "name": "timm",
            "batch": 8,
            "recalibration": 8,
            "data": {"name": "webdataset", "path": str(places["webdataset"]), "resolution": 32, "workers": 0}
            | {"transform": transform},
        },
        "strategy": {"name": "random"},
        "search": {"rounds": 1, "proposals": 2, "steps": 2},
        "final": {"candidates": 1, "schedule": {"epochs": 1, "batch": 8, "drop_path": 0, "auxiliary": 0, "cutout": 4}},
        "threads": 1,
        "device": "cpu",
    }
    result = start(plan(recipe, plugins()), tmp_path / "run", plugins(), Silent())
    assert result["data"]["splits"]["selection"] == 10
    saved = timm.create_model(f"local-dir:{tmp_path / 'run' / 'model'}", pretrained=True).pretrained_cfg
    assert (list(saved["mean"]), saved["crop_pct"], saved["input_size"]) == ([0.5] * 3, 0.9, (3, 32, 32))
