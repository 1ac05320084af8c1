"""What of a data file its public source settles, where the rest of it cannot be made again to the bit."""

from __future__ import annotations

import hashlib
import io
from zipfile import BadZipFile, ZipFile

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

LIST = "images.csv"


def quantised_weights(found: bytes) -> str:
    """The hash of all convolutions and linear layers of a safetensors file, by which of its layer's values each weight
    is: so how the values were scaled, and what norms have learned, is left out. Nothing where it is no such file."""
    try:
        tensors = load(found)
    except SafetensorError:
        return ""
    whole = hashlib.sha256()
    for name in sorted(name for name, each in tensors.items() if each.ndim > 1):
        _, codes = np.unique(tensors[name], return_inverse=True)
        whole.update(f"{name} {tensors[name].shape}\n".encode())
        whole.update(codes.astype("<u4").tobytes())
    return whole.hexdigest()


def listed_pictures(found: bytes) -> str:
    """The hash of the names of a zip of pictures and of the list of their classes and licences in it; their bytes are
    left out. Nothing where it is no such file."""
    try:
        with ZipFile(io.BytesIO(found)) as archive:
            names, rows = sorted(archive.namelist()), archive.read(LIST).splitlines()
    except (BadZipFile, KeyError, NotImplementedError, RuntimeError):
        return ""
    return hashlib.sha256(b"\n".join([*(name.encode() for name in names), *sorted(rows)])).hexdigest()
