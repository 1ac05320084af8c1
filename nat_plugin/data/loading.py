"""From a setting to a data set on a device."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from nat_plugin.data.augment import Augment
from nat_plugin.data.dataset import DataSet, Images, SplitImages
from nat_plugin.data.loaders import LOADERS
from nat_plugin.data.settings import WORKERS, DataSettings
from nat_plugin.data.source import ImageSource, Loader, checked
from nat_plugin.data.splits import divide
from nat_plugin.data.stored import StoredImages, StoredSource
from nat_plugin.errors import NATError
from nat_plugin.fingerprints import Outside

_TWO_TESTS = "{}: has a test part of its own: leave out splits.val, and val is to choose on"
CHUNK = 2048  # images turned into numbers of more than a byte at a time


def load(
    settings: DataSettings, device: torch.device | str, extra_loaders: Mapping[str, Loader] | None = None
) -> DataSet:
    """Read, check, resize and split the data set, and put it on `device`; `extra_loaders` are known by name too.

    Raises:
        NATError: an unknown name, or anything wrong with the files, the arrays or the splits asked of them.
    """
    loaders: dict[str, Loader] = {**LOADERS, **(extra_loaders or {})}
    if settings.name not in loaders:
        close = get_close_matches(settings.name, loaders, n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise NATError(f"unknown data set {settings.name!r}{hint}: allowed are {', '.join(sorted(loaders))}")
    where = f"data set {settings.name!r}" if settings.path is None else str(settings.path)
    found = loaders[settings.name](settings)
    if isinstance(found, StoredSource):
        return _left_in_files(settings, found, device, where)
    for name in ("transform", "workers"):
        if getattr(settings, name) is not None:
            raise NATError(f"{name}: data set {settings.name!r} is read into memory as it is: leave it out")
    return _in_memory(settings, _val_as_wanted(checked(found, where), settings, where), device, where)


def _in_memory(settings: DataSettings, source: ImageSource, device: torch.device | str, where: str) -> DataSet:
    own = {name for name, part in (("test", source.x_test), ("selection", source.x_val)) if part is not None}
    parts = _divided(settings, source.y_train, source.class_names, own, where)
    x = {name: resized(source.x_train[index], settings.resolution) for name, index in parts.items()}
    y = {name: source.y_train[index] for name, index in parts.items()}
    if source.x_test is not None and source.y_test is not None:
        x["test"], y["test"] = resized(source.x_test, settings.resolution), source.y_test
    if source.x_val is not None and source.y_val is not None:
        x["selection"], y["selection"] = resized(source.x_val, settings.resolution), source.y_val
    augment = _augment(settings, source.augment or Augment(), x["weights"].shape[1:3], where)
    mean, std = channel_statistics(x["weights"])
    images = {name: Images(_tensor(x[name]).to(device), torch.from_numpy(y[name].copy()).to(device)) for name in x}
    about = {"mean": mean, "std": std, "augment": augment, "own_test": "test" in own}
    return _data_set(settings, source.class_names, images, outside=_outside(settings, source), **about)


def _left_in_files(settings: DataSettings, source: StoredSource, device: torch.device | str, where: str) -> DataSet:
    own = {"test": source.test, "selection": source.val}
    if source.val is not None and settings.splits.val == "test":
        if source.test is not None:
            raise NATError(_TWO_TESTS.format(where))
        own = {"test": source.val, "selection": None}
    whole = {name: part for name, part in own.items() if part is not None}
    parts = _divided(settings, source.train.labels, source.class_names, whole, where)
    form, workers = source.form, WORKERS if settings.workers is None else settings.workers
    images = {name: StoredImages.of(source.train, form, index, workers).to(device) for name, index in parts.items()}
    for name, part in whole.items():
        images[name] = StoredImages.of(part, form, np.arange(len(part.labels)), workers).to(device)
    augment = _augment(settings, Augment(crop=0, flip=False), form.shape[1:], where)
    about = {"mean": form.mean, "std": form.std, "crop_pct": form.crop_pct, "augment": augment}
    return _data_set(settings, source.class_names, images, outside=source.outside, own_test="test" in whole, **about)


def _data_set(
    settings: DataSettings, names: tuple[str, ...], images: Mapping[str, SplitImages], **about: Any
) -> DataSet:
    given: dict[str, Any] = {**images, **about}
    return DataSet(name=settings.name, classes=len(names), class_names=names, seed=settings.splits.seed, **given)


def _val_as_wanted(source: ImageSource, settings: DataSettings, where: str) -> ImageSource:
    if source.x_val is None or settings.splits.val == "selection":
        return source
    if source.x_test is not None:
        raise NATError(_TWO_TESTS.format(where))
    return replace(source, x_test=source.x_val, y_test=source.y_val, x_val=None, y_val=None)


def _divided(
    settings: DataSettings, labels: NDArray[np.int64], names: Sequence[str], own: Collection[str], where: str
) -> dict[str, NDArray[np.int64]]:
    """Positions in the train part by split."""
    return divide(labels, names, settings, own=own, where=where)


def _outside(settings: DataSettings, source: ImageSource) -> tuple[Outside, ...]:
    if settings.path is None:
        return ()
    return (Outside.all_of(settings.path) if source.files is None else Outside(settings.path, source.files),)


def resized(x: NDArray[np.uint8], resolution: int | None) -> NDArray[np.uint8]:
    """Images (N, H, W, C) as (N, resolution, resolution, C), smoothed where they shrink; None leaves them alone."""
    if resolution is None or x.shape[1:3] == (resolution, resolution):
        return x
    result = np.empty((len(x), resolution, resolution, x.shape[3]), dtype=np.uint8)
    for start in range(0, len(x), CHUNK):
        part = _tensor(x[start : start + CHUNK]).float()
        part = F.interpolate(part, (resolution, resolution), mode="bilinear", antialias=True)
        result[start : start + CHUNK] = part.round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()
    return result


def channel_statistics(x: NDArray[np.uint8]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel of images (N, H, W, C), white being 1; exact, from a histogram."""
    levels = np.arange(256) / 255
    means, deviations = [], []
    for channel in range(x.shape[3]):
        histogram = np.zeros(256, dtype=np.int64)
        for start in range(0, len(x), CHUNK):
            histogram += np.bincount(x[start : start + CHUNK, ..., channel].ravel(), minlength=256)
        mean = float(histogram @ levels / histogram.sum())
        variance = float(histogram @ (levels - mean) ** 2 / histogram.sum())
        means.append(mean)
        # A channel of one colour is all zeros after the mean is taken off: any divisor keeps it so, except 0.
        deviations.append(variance**0.5 if histogram.max() < histogram.sum() else 1.0)
    return tuple(means), tuple(deviations)


def _tensor(x: NDArray[np.uint8]) -> torch.Tensor:
    """Images (N, H, W, C) as a tensor (N, C, H, W) in channels_last memory, no array behind it that others hold."""
    return torch.from_numpy(np.array(x, order="C")).permute(0, 3, 1, 2)


def _augment(settings: DataSettings, chosen: Augment, size: tuple[int, ...], where: str) -> Augment:
    """What the loader chose, with what the settings say. NATError where that is too large for the images."""
    augment = chosen if settings.augment is None else settings.augment.applied(chosen)
    for key, value in (("crop", augment.crop), ("cutout", augment.cutout)):
        if value >= min(size):
            height, width = size
            raise NATError(
                f"{where}: augment.{key} is {value}: set less than {min(size)} for images of {height}x{width}"
            )
    return augment
