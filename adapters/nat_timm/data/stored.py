"""Loaders of pictures that stay in their files: in a folder for each class, or in shards."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from torch import Tensor
from torch.utils.data import Dataset

from nat_plugin import NATError
from nat_plugin.data import DataSettings, PictureForm, PictureSettings, StoredSource, folder_source, shard_source
from nat_plugin.ir import Shape
from nat_timm.framework import said, timm

RESOLUTION = 224


def load_large_image_folder(settings: DataSettings) -> StoredSource:
    """Pictures in a folder for each class."""
    return folder_source(settings, form_of(settings))


def load_webdataset(settings: DataSettings) -> StoredSource:
    """Pictures in shards."""
    return shard_source(settings, form_of(settings))


def form_of(settings: DataSettings) -> PictureForm:
    """Timm's transforms, up to images of bytes. NATError where timm is missing, or does not know a name."""
    found, size = settings.transform or PictureSettings(), settings.resolution or RESOLUTION
    common: dict[str, Any] = {
        "input_size": (3, size, size),
        "mean": tuple(found.mean),
        "std": tuple(found.std),
        "use_prefetcher": True,  # normalised elsewhere: bytes are a quarter of floats
    }
    jitter = tuple(found.color_jitter) if isinstance(found.color_jitter, list) else found.color_jitter
    changed = {
        "scale": found.scale,
        "ratio": found.ratio,
        "hflip": found.hflip,
        "color_jitter": jitter,
        "auto_augment": found.auto_augment,
        "interpolation": found.interpolation,
    }
    plain = "bilinear" if found.interpolation == "random" else found.interpolation
    make = timm().data.create_transform
    try:
        train = make(**common, **changed, is_training=True)
    except Exception as error:
        raise NATError(f"transform: timm refuses this, auto_augment {found.auto_augment!r}?: {said(error)}") from error
    return PictureForm(
        train,
        make(**common, is_training=False, interpolation=plain, crop_pct=found.crop_pct),
        (3, size, size),
        partial(_loader, common["input_size"]),
        tuple(found.mean),
        tuple(found.std),
        found.crop_pct,
    )


def _loader(shape: Shape, dataset: Dataset[Tensor | str], workers: int, pin_memory: bool) -> Iterable[Tensor | str]:
    """Timm's, for batches that are made already: which pictures are in one follows from the seed of a run, whatever the
    number of processes and devices."""
    found: Iterable[Tensor | str] = timm().data.create_loader(
        dataset,
        shape,
        batch_size=None,
        collate_fn=_as_it_is,
        num_workers=workers,
        pin_memory=pin_memory,
        use_prefetcher=False,
        persistent_workers=False,
    )
    return found


def _as_it_is(found: Any) -> Any:
    return found
