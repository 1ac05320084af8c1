"""Data sets: a setting in, four disjoint splits as tensors on a device out, and batches of them."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nat_plugin.data.augment import Augment
    from nat_plugin.data.batches import eval_batches, take, train_batches
    from nat_plugin.data.dataset import DataSet, Images
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
    "SplitSettings",
    "eval_batches",
    "load",
    "take",
    "train_batches",
]
_LAZY = {
    **dict.fromkeys(("eval_batches", "take", "train_batches"), "batches"),
    **dict.fromkeys(("AugmentSettings", "DataSettings", "SplitSettings"), "settings"),
    **dict.fromkeys(("DataSet", "Images"), "dataset"),
    **dict.fromkeys(("Loader", "ImageSource"), "source"),
    "Augment": "augment",
    "LOADERS": "loaders",
    "load": "loading",
}


def __getattr__(name: str) -> Any:
    """Each is imported when it is first asked for: settings are checked without torch, which takes seconds."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
