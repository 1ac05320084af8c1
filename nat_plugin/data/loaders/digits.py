"""Handwritten digits that scikit-learn carries: 1,797 grey images of 8x8, nothing to download."""

from __future__ import annotations

import numpy as np

from nat_plugin.data.augment import Augment
from nat_plugin.data.loaders.files import no_download
from nat_plugin.data.settings import DataSettings
from nat_plugin.data.source import ImageSource
from nat_plugin.errors import NATError


def load_digits(settings: DataSettings) -> ImageSource:
    """Handwritten digits: 1,797 images of 8x8 in grey, which come with scikit-learn; no test part of their own."""
    no_download(settings)
    if settings.path is not None:
        raise NATError(f"data set {settings.name!r} comes with scikit-learn and reads no file: remove path")
    from sklearn.datasets import load_digits as bundled

    digits = bundled()
    return ImageSource(
        x_train=np.rint(digits.images * (255 / 16)).astype(np.uint8),
        y_train=digits.target.astype(np.int64),
        class_names=tuple("0123456789"),
        # A mirrored digit is no digit, and of 8 pixels a shift by more than one loses part of it.
        augment=Augment(crop=1, flip=False),
    )
