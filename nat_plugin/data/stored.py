"""Images that do not fit in memory: pictures in files, each read, decoded and changed when a batch wants it.

Which pictures are in a batch, and what chance does to each, follows from the seed alone: not from how many processes
decode them, and not from which of several devices trains on them.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import repeat
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from nat_plugin.data.dataset import Images, Part, SplitImages
from nat_plugin.data.settings import WORKERS
from nat_plugin.errors import NATError
from nat_plugin.fingerprints import Outside

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

    Transform: TypeAlias = Callable[[Picture], Tensor]
    """Of a picture an image: uint8 (C, H, W)."""
BatchLoader: TypeAlias = "Callable[[Dataset[Tensor | str], int, bool], Iterable[Tensor | str]]"
"""Gives the items of a data set in order, each of which is a batch. Called with the data set, the number of processes
that make batches (0: this one) and whether to pin their memory."""

SEEDS = 2**62


class StoredPictures(ABC):
    """Labelled pictures in files. Copies of it go to other processes: it holds numbers and names, no pictures."""

    labels: NDArray[np.int64]

    @abstractmethod
    def read(self, number: int) -> Picture:
        """One in colour. NATError names what cannot be read."""


@dataclass(frozen=True)
class PictureForm:
    """How images are made of pictures. ``train``: as training wants them, by the global random numbers; ``plain``: as
    they are."""

    train: Transform
    plain: Transform
    shape: tuple[int, int, int]
    loader: BatchLoader
    mean: tuple[float, ...]  # per channel, of images where white is 1
    std: tuple[float, ...]
    crop_pct: float = 1.0
    """Share of the shorter side of a picture that ``plain`` leaves."""


@dataclass(frozen=True, eq=False)
class StoredSource:
    """What a loader returns of pictures that stay in their files. ``test``, ``val``: see ``ImageSource``."""

    train: StoredPictures
    class_names: tuple[str, ...]
    form: PictureForm
    outside: tuple[Outside, ...]
    test: StoredPictures | None = None
    val: StoredPictures | None = None


@dataclass(frozen=True, eq=False)
class StoredImages(SplitImages):
    """A split of which only numbers and labels are in memory."""

    pictures: StoredPictures
    form: PictureForm
    index: Tensor  # int64 (N,): which pictures, on the CPU
    y: Tensor
    workers: int = WORKERS
    """Processes that decode; 0: this one."""

    @staticmethod
    def of(pictures: StoredPictures, form: PictureForm, index: NDArray[np.int64], workers: int) -> StoredImages:
        return StoredImages(
            pictures, form, torch.from_numpy(index.copy()), torch.from_numpy(pictures.labels[index]), workers
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.form.shape

    def to(self, device: torch.device | str) -> StoredImages:
        return replace(self, y=self.y.to(device))

    def pick(self, index: Part) -> StoredImages:
        own = index if isinstance(index, slice) else index.cpu()
        return replace(self, index=self.index[own], y=self.y[index])

    def joined(self, other: StoredImages) -> StoredImages:
        assert other.pictures is self.pictures
        return replace(self, index=torch.cat([self.index, other.index]), y=torch.cat([self.y, other.y]))

    def seeds(self, count: int, generator: torch.Generator) -> Tensor:
        return torch.randint(SEEDS, (count,), generator=generator)

    def batches(self, parts: Iterable[Part], seeds: Iterable[Tensor] | None = None) -> Iterator[Images]:
        picked = [self.pick(part) for part in parts]
        drawn: Iterable[Tensor | None] = repeat(None, len(picked)) if seeds is None else seeds
        wanted = [
            (each.index.numpy(), None if own is None else own.numpy()) for each, own in zip(picked, drawn, strict=True)
        ]  # numpy's arrays are copied to other processes; of tensors they would get files, from a server
        decoding = _Decoding(self.pictures, self.form, wanted)
        loader = self.form.loader(decoding, min(self.workers, len(wanted)), self.y.device.type == "cuda")
        return _on_device(loader, [each.y for each in picked])


def _on_device(loader: Iterable[Tensor | str], labels: list[Tensor]) -> Iterator[Images]:
    """NATError for a picture that cannot be read, and where a process that decodes was lost."""
    with torch.random.fork_rng(devices=[]):  # loaders draw from the global numbers
        found = iter(loader)
    for y in labels:
        try:
            x = next(found)
        except RuntimeError as error:
            if not str(error).startswith("DataLoader worker"):
                raise
            raise NATError(
                f"a process that decodes images was lost (out of memory?): {' '.join(str(error).split())[:160]}; "
                "evaluator.data.workers sets their number"
            ) from error
        if isinstance(x, str):
            raise NATError(x)
        yield Images(x.to(y.device, non_blocking=True), y)


class _Decoding(Dataset["Tensor | str"]):
    """In the processes that decode: of the numbers and seeds of each batch its images, or what is wrong with one."""

    def __init__(
        self,
        pictures: StoredPictures,
        form: PictureForm,
        wanted: Sequence[tuple[NDArray[np.int64], NDArray[np.int64] | None]],
    ) -> None:
        self._pictures, self._form, self._wanted = pictures, form, wanted

    def __len__(self) -> int:
        return len(self._wanted)

    def __getitem__(self, batch: int) -> Tensor | str:
        numbers, seeds = self._wanted[batch]
        try:
            if seeds is None:
                images = [self._form.plain(self._pictures.read(number)) for number in numbers.tolist()]
            else:
                images = self._changed(numbers.tolist(), seeds.tolist())
        except NATError as error:  # one that is raised comes to the other process with the traceback as its text
            return str(error)
        return torch.stack(images).contiguous(memory_format=torch.channels_last)

    def _changed(self, numbers: list[int], seeds: list[int]) -> list[Tensor]:
        images = []
        with _kept_random():
            for number, seed in zip(numbers, seeds, strict=True):
                picture = self._pictures.read(number)
                random.seed(seed)
                np.random.seed(seed % 2**32)
                torch.default_generator.manual_seed(seed)
                images.append(self._form.train(picture))
        return images


@contextmanager
def _kept_random() -> Iterator[None]:
    """Global random numbers, of which transforms take theirs, are as before behind it."""
    before: tuple[Any, Any] = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
