"""The idx format of MNIST and its relatives, gzipped or not."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nat_plugin.data.loaders.files import MAX_BYTES, need_file
from nat_plugin.errors import NATError
from nat_plugin.files import reader

UNSIGNED_BYTE = 8  # the format's code for the only element type used here


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """The array of bytes in `path`, which must have `dimensions` dimensions and not a byte more or less than it says.

    Raises:
        NATError: missing, damaged, truncated, too long, of another type, or larger than the limit.
    """
    need_file(path, "an idx file")
    header = 4 + 4 * dimensions
    with reader(path, MAX_BYTES, "images in memory") as file:
        start = file.read(header)
        if len(start) < header or start[:4] != bytes([0, 0, UNSIGNED_BYTE, dimensions]):
            raise NATError(f"{path}: is not an idx file of bytes with {dimensions} dimensions: get it again")
        shape = struct.unpack(f">{dimensions}I", start[4:])
        size = math.prod(shape)
        if math.prod(max(each, 1) for each in shape) > MAX_BYTES:  # of an empty array, too: numpy counts it so
            raise NATError(f"{path}: says that it holds {shape} bytes, the limit is {MAX_BYTES}: get it again")
        # One byte more than declared tells a file that goes on, without unpacking whatever follows.
        content = file.read(size + 1)
    if len(content) != size:
        problem = "is truncated" if len(content) < size else "goes on after its end"
        raise NATError(f"{path}: {problem} ({size} bytes are declared): get it again")
    return np.frombuffer(content, dtype=np.uint8).reshape(shape)
