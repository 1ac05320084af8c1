"""Files of images that tests change between two reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits


def digits_file(path: Path, changed: int = 0) -> Path:
    """Two hundred digits, one pixel of which is another."""
    found = load_digits()
    x = (found.images[:200, ..., None] * 15).astype(np.uint8)
    x[0, 0, 0, 0] ^= changed
    np.savez(path, x_train=x, y_train=found.target[:200])
    return path
