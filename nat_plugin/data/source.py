"""What a loader returns, and the checks that every source passes whoever wrote its loader."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nat_plugin.data.augment import Augment
from nat_plugin.data.settings import DataSettings
from nat_plugin.data.stored import StoredSource
from nat_plugin.errors import NATError
from nat_plugin.lazy import lazy_names

CHANNELS = (1, 3, 4)


@dataclass(frozen=True, eq=False)
class ImageSource:
    """Arrays as a loader found them; `checked` brings them into one form."""

    x_train: NDArray[Any]  # uint8 (N, H, W, C), (N, C, H, W) or, without colour, (N, H, W)
    y_train: NDArray[Any]  # whole numbers (N,), 0..classes-1
    x_test: NDArray[Any] | None = None  # None: the source has no test part
    y_test: NDArray[Any] | None = None
    class_names: tuple[str, ...] = ()  # empty: as many classes as labels, named by their number
    augment: Augment | None = None  # what suits these images; None: the defaults of Augment
    files: tuple[Path, ...] | None = None  # those that were read; None: all that there is at the path of the settings
    x_val: NDArray[Any] | None = None  # None: the source has no part to choose on
    y_val: NDArray[Any] | None = None


Loader: TypeAlias = "Callable[[DataSettings], ImageSource | StoredSource]"


def checked(source: ImageSource, where: str) -> ImageSource:
    """The source with images (N, H, W, C) and int64 labels; `where` (a path, say) begins every error.

    Raises:
        NATError: a dtype, shape, label or name is not what it should be.
    """
    for part in ("test", "val"):
        x, y = (getattr(source, f"{what}_{part}") for what in "xy")
        if (x is None) != (y is None):
            raise NATError(f"{where}: x_{part} and y_{part} belong together: give both or neither")
    x_train = _images(source.x_train, f"{where}: x_train")
    y_train = _labels(source.y_train, len(x_train), f"{where}: y_train")
    names = source.class_names
    if not names:
        # Every class needs an image, which also keeps a wild label from naming billions of classes.
        if int(y_train.max()) >= len(y_train):
            raise NATError(f"{where}: y_train has label {y_train.max()}: labels must be 0..classes-1, without gaps")
        names = tuple(str(label) for label in range(int(y_train.max()) + 1))
    if len(names) < 2:
        raise NATError(f"{where}: has {len(names)} class; at least 2 are needed")
    if len(set(names)) < len(names):
        raise NATError(f"{where}: two classes have the same name: give each its own")
    _in_range(y_train, len(names), f"{where}: y_train")
    absent = np.flatnonzero(np.bincount(y_train, minlength=len(names)) == 0)
    if len(absent):
        raise NATError(f"{where}: y_train has no image of class {names[absent[0]]!r}: add some or leave the class out")
    found: dict[str, Any] = {}
    for part in ("test", "val"):
        x, y = (getattr(source, f"{what}_{part}") for what in "xy")
        if x is not None:
            images = found[f"x_{part}"] = _images(x, f"{where}: x_{part}")
            labels = found[f"y_{part}"] = _labels(y, len(images), f"{where}: y_{part}")
            _in_range(labels, len(names), f"{where}: y_{part}")
            if images.shape[1:] != x_train.shape[1:]:
                raise NATError(
                    f"{where}: x_{part} has images of {_text(images.shape[1:])} and x_train of "
                    f"{_text(x_train.shape[1:])} (height x width x channels): they must be alike"
                )
    return replace(source, x_train=x_train, y_train=y_train, class_names=names, **found)


def _images(x: NDArray[Any], where: str) -> NDArray[np.uint8]:
    if x.dtype != np.uint8:
        raise NATError(f"{where} is {x.dtype}: images must be uint8, 0 to 255")
    if x.ndim == 3:
        x = x[..., None]
    elif x.ndim == 4 and x.shape[3] not in CHANNELS and x.shape[1] in CHANNELS:
        x = x.transpose(0, 2, 3, 1)
    if x.ndim != 4 or x.shape[3] not in CHANNELS:
        raise NATError(
            f"{where} has shape {_text(x.shape)}: it must be images x height x width x channels, with 1, 3 or 4 "
            "channels (or channels before height, or no channels at all)"
        )
    if 0 in x.shape:
        raise NATError(f"{where} has shape {_text(x.shape)}: it holds no pixel; give at least one image")
    return x


def _labels(y: NDArray[Any], images: int, where: str) -> NDArray[np.int64]:
    if y.dtype.kind not in "iu":
        found = "has NaN or infinite labels" if y.dtype.kind == "f" and not np.isfinite(y).all() else f"is {y.dtype}"
        raise NATError(f"{where} {found}: labels must be whole numbers of an integer type, 0..classes-1")
    if y.shape != (images,):
        raise NATError(f"{where} has shape {_text(y.shape)}: there are {images} images, one label for each is needed")
    if int(y.min()) < 0 or int(y.max()) > np.iinfo(np.int64).max:
        raise NATError(f"{where} has label {y.min() if y.min() < 0 else y.max()}: labels must be 0..classes-1")
    return y.astype(np.int64)


def _in_range(y: NDArray[np.int64], classes: int, where: str) -> None:
    if int(y.max()) >= classes:
        raise NATError(f"{where} has label {y.max()}: with {classes} classes labels must be 0..{classes - 1}")


def _text(shape: tuple[int, ...]) -> str:
    return "x".join(str(length) for length in shape) or "()"


if not TYPE_CHECKING:
    __getattr__, _ = lazy_names(__name__, {}, {"Source": f"{__name__}:ImageSource"})
