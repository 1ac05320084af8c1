"""The part of CIFAR-10 that experiments read, picked from its binary archive by a key of every image."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np

from nat_plugin.errors import NATError

CHOSEN = Path(__file__).with_name("chosen") / "cifar10_small.keys"
"""Keys of the images, in their order: those to train on, then those to test on."""
TRAIN = 10_000
KEY = 5
"""Bytes."""
SHAPE = (3, 32, 32)
PIXELS = 3 * 32 * 32
NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def key_of(pixels: bytes) -> bytes:
    """Of an image as it stands in the archive, one color after the other."""
    return blake2b(pixels, digest_size=KEY).digest()


def small_npz(published: bytes, keys: bytes, train: int = TRAIN) -> bytes:
    """``published``: ``cifar-10-binary.tar.gz``. NATError where it does not have the images."""
    wanted = [keys[at : at + KEY] for at in range(0, len(keys), KEY)]
    try:
        known = {key_of(record[1:]): record for record in _records(published)}
    except (OSError, EOFError, ValueError, tarfile.TarError) as error:
        raise NATError(f"what was downloaded is no archive of CIFAR-10: {type(error).__name__}: {error}") from error
    missing = sum(key not in known for key in wanted)
    if missing:
        raise NATError(f"what was downloaded lacks {missing:,} of {len(wanted):,} images; it has {len(known):,}")
    file = io.BytesIO()
    parts = {
        f"{array}_{part}": values
        for part, chosen in (("train", wanted[:train]), ("test", wanted[train:]))
        for array, values in zip("xy", _arrays([known[key] for key in chosen]), strict=True)
    }
    np.savez_compressed(file, **parts, names=np.array(NAMES))  # type: ignore[arg-type]  # its stub has a flag among the arrays
    return file.getvalue()


def _records(published: bytes) -> Iterator[bytes]:
    """A label and the pixels of each image."""
    with tarfile.open(fileobj=io.BytesIO(published), mode="r:gz") as archive:
        for member in archive:
            if not member.isfile() or not member.name.endswith(".bin"):
                continue
            file = archive.extractfile(member)
            assert file is not None
            while record := file.read(1 + PIXELS):
                if len(record) != 1 + PIXELS:
                    raise ValueError(f"{member.name} ends within an image")
                yield record


def _arrays(records: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Pixels, color last, and labels."""
    raw = np.frombuffer(b"".join(records), np.uint8).reshape(-1, 1 + PIXELS)
    return np.ascontiguousarray(raw[:, 1:].reshape(-1, *SHAPE).transpose(0, 2, 3, 1)), raw[:, 0].copy()
