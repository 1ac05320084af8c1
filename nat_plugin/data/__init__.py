"""Data sets: a setting in, four disjoint splits as tensors on a device out, and batches of them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nat_plugin.data.augment import Augment
    from nat_plugin.data.batches import eval_batches, take, train_batches
    from nat_plugin.data.dataset import DataSet, Images, SplitImages
    from nat_plugin.data.loaders import LOADERS
    from nat_plugin.data.loading import load
    from nat_plugin.data.settings import AugmentSettings, DataSettings, SplitSettings
    from nat_plugin.data.source import ImageSource, Loader

__all__ = [
    "LOADERS",
    "Augment",
    "AugmentSettings",
    "DataSet",
    "DataSettings",
    "ImageSource",
    "Images",
    "Loader",
    "SplitImages",
    "SplitSettings",
    "eval_batches",
    "load",
    "take",
    "train_batches",
]

if not TYPE_CHECKING:  # each is imported when it is first asked for: settings are checked without torch
    from nat_plugin.lazy import lazy_names

    _IN = {
        "augment": ("Augment",),
        "batches": ("eval_batches", "take", "train_batches"),
        "dataset": ("DataSet", "Images", "SplitImages"),
        "loaders": ("LOADERS",),
        "loading": ("load",),
        "settings": ("AugmentSettings", "DataSettings", "SplitSettings"),
        "source": ("ImageSource", "Loader"),
    }
    _PLACES = {name: f"{__name__}.{module}" for module, names in _IN.items() for name in names}
    __getattr__, __dir__ = lazy_names(__name__, _PLACES, {"Source": "nat_plugin.data:ImageSource"})
