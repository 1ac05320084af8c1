"""Random numbers that depend on a seed alone, and leave the program's global generators as they were."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def derive_seed(seed: int, *parts: int | str) -> int:
    """A seed of its own (63 bits) for every purpose and count: ``derive_seed(seed, 'epoch', 3)``.

    What is drawn in epoch 3 then follows from the seed and the number 3, so a checkpoint needs no generator's state.
    """
    text = repr((seed, *parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") >> 1


def generator(seed: int, *parts: int | str) -> torch.Generator:
    """A CPU generator of its own; see ``derive_seed``."""
    return torch.Generator().manual_seed(derive_seed(seed, *parts))


@contextmanager
def seeded(device: torch.device, seed: int) -> Iterator[None]:
    """Inside, the global generators (CPU, and of ``device``) start from ``seed``; after it they are as before.

    For what cannot be given a generator: initial weights, drop path.
    """
    cuda = device.type == "cuda" and torch.cuda.is_available()
    index = (device.index if device.index is not None else torch.cuda.current_device()) if cuda else 0
    with torch.random.fork_rng(devices=[index] if cuda else []):
        torch.default_generator.manual_seed(seed)
        if cuda:
            # torch.manual_seed would reach every GPU, of which only this one is put back.
            torch.cuda.default_generators[index].manual_seed(seed)
        yield
