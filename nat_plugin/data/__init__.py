"""Data sets: a setting in, four disjoint splits as tensors on a device out, and batches of them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nat_plugin.data.augment import Augment
    from nat_plugin.data.batches import eval_batches, take, train_batches
    from nat_plugin.data.dataset import DataSet, Images, SplitImages
    from nat_plugin.data.loaders import LOADERS
    from nat_plugin.data.loaders.folder_pictures import folder_source
    from nat_plugin.data.loaders.image_folder import VALIDATION_NAMES
    from nat_plugin.data.loaders.shard_pictures import shard_source
    from nat_plugin.data.loading import load
    from nat_plugin.data.settings import AugmentSettings, DataSettings, PictureSettings, SplitSettings
    from nat_plugin.data.source import ImageSource, Loader
    from nat_plugin.data.stored import PictureForm, StoredSource

__all__ = [
    "LOADERS",
    "VALIDATION_NAMES",
    "Augment",
    "AugmentSettings",
    "DataSet",
    "DataSettings",
    "ImageSource",
    "Images",
    "Loader",
    "PictureForm",
    "PictureSettings",
    "SplitImages",
    "SplitSettings",
    "StoredSource",
    "eval_batches",
    "folder_source",
    "load",
    "shard_source",
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
        "loaders.folder_pictures": ("folder_source",),
        "loaders.image_folder": ("VALIDATION_NAMES",),
        "loaders.shard_pictures": ("shard_source",),
        "loading": ("load",),
        "settings": ("AugmentSettings", "DataSettings", "PictureSettings", "SplitSettings"),
        "source": ("ImageSource", "Loader"),
        "stored": ("PictureForm", "StoredSource"),
    }
    _PLACES = {name: f"{__name__}.{module}" for module, names in _IN.items() for name in names}
    __getattr__, __dir__ = lazy_names(__name__, _PLACES, {"Source": "nat_plugin.data:ImageSource"})
