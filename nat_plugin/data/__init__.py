"""Data sets: a setting in, four disjoint splits as tensors on a device out, and batches of them."""

from nat_plugin.data.augment import Augment
from nat_plugin.data.batches import eval_batches, take, train_batches
from nat_plugin.data.dataset import DataSet, Images
from nat_plugin.data.load import load
from nat_plugin.data.loaders import LOADERS
from nat_plugin.data.settings import AugmentSettings, DataSettings, SplitSettings
from nat_plugin.data.source import Loader, Source

__all__ = [
    "LOADERS",
    "Augment",
    "AugmentSettings",
    "DataSet",
    "DataSettings",
    "Images",
    "Loader",
    "Source",
    "SplitSettings",
    "eval_batches",
    "load",
    "take",
    "train_batches",
]
