"""A data set: images as bytes, in memory on a device or read when they are needed, in four disjoint splits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias, TypeVar

import torch
from torch import Tensor

from nat_plugin.data.augment import Augment
from nat_plugin.fingerprints import Outside

SPLITS = ("weights", "reward", "selection", "test")
_S = TypeVar("_S", bound="SplitImages")


Part: TypeAlias = "Tensor | slice"
"""Positions in a split."""


class SplitImages(ABC):
    """One split, wherever its images lie: bytes, a quarter of the memory of floats, until they are batched."""

    y: Tensor  # int64 (N,), 0..classes-1, on the device that batches come to

    def __len__(self) -> int:
        return int(self.y.shape[0])

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one image."""

    @abstractmethod
    def to(self: _S, device: torch.device | str) -> _S:
        """The same images on `device`; no copy where they are there already."""

    @abstractmethod
    def pick(self: _S, index: Part) -> _S:
        """The images at `index`, in that order; a tensor of positions is int64 and on the same device."""

    @abstractmethod
    def joined(self: _S, other: _S) -> _S:
        """These images, then those of another split of the same data set."""

    @abstractmethod
    def batches(self, parts: Iterable[Part], seeds: Iterable[Tensor] | None = None) -> Iterator[Images]:
        """The images of each part, in memory. ``seeds``: for each part those of its images (int64), by which each is
        changed as training wants it; see ``seeds``."""

    def seeds(self, count: int, generator: torch.Generator) -> Tensor | None:  # noqa: ARG002 - what an override gets
        """For so many images one number each (count,); None where nothing is drawn before they are in a batch."""
        return None


# Tensors have no single truth value, so a generated __eq__ would raise: identity it is.
@dataclass(frozen=True, eq=False)
class Images(SplitImages):
    """A split in memory, on a device."""

    x: Tensor  # uint8 (N, C, H, W), channels_last in memory
    y: Tensor

    @property
    def shape(self) -> tuple[int, int, int]:
        channels, height, width = self.x.shape[1:]
        return channels, height, width

    def to(self, device: torch.device | str) -> Images:
        return Images(self.x.to(device), self.y.to(device))

    def pick(self, index: Part) -> Images:
        # Indexing the (N, H, W, C) view keeps channels_last, which indexing (N, C, H, W) would not.
        return Images(self.x.permute(0, 2, 3, 1)[index].permute(0, 3, 1, 2), self.y[index])

    def joined(self, other: Images) -> Images:
        return Images(torch.cat([self.x, other.x]), torch.cat([self.y, other.y]))

    def batches(self, parts: Iterable[Part], seeds: Iterable[Tensor] | None = None) -> Iterator[Images]:
        del seeds
        return (self.pick(part) for part in parts)


@dataclass(frozen=True, eq=False)
class DataSet:
    """Images for training weights, for the reward, for choosing the result, and for the one final test."""

    name: str
    classes: int
    class_names: tuple[str, ...]
    weights: SplitImages
    reward: SplitImages
    selection: SplitImages
    test: SplitImages
    mean: tuple[float, ...]  # per channel, of the weights split, in units where white is 1
    std: tuple[float, ...]
    augment: Augment
    seed: int = 0  # that the splits were drawn with
    own_test: bool = True  # the source came with its test part; otherwise it was carved out
    outside: tuple[Outside, ...] = ()  # the files that were read
    crop_pct: float = 1.0  # share of the shorter side of a picture that is in an image which is only looked at

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one image."""
        return self.weights.shape

    def summary(self) -> dict[str, Any]:
        """What a report says about the data, ready for JSON."""
        return {
            "name": self.name,
            "shape": list(self.shape),
            "classes": self.classes,
            "class_names": list(self.class_names),
            "splits": {split: len(getattr(self, split)) for split in SPLITS},
            "split_seed": self.seed,
            "test_from": "the source's own test part" if self.own_test else "carved out of the source",
            "mean": list(self.mean),
            "std": list(self.std),
        }

    def normalise(
        self,
        x: Tensor,
        dtype: torch.dtype = torch.float32,
        memory_format: torch.memory_format = torch.channels_last,
    ) -> Tensor:
        """Bytes (N, C, H, W) as floats of the same shape with mean 0 and standard deviation 1 per channel."""
        shift, scale = _affine(self.mean, self.std, dtype, x.device)
        return x.to(dtype=dtype, memory_format=memory_format, copy=True).sub_(shift).mul_(scale)


@lru_cache(maxsize=64)
def _affine(
    mean: tuple[float, ...], std: tuple[float, ...], dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor]:
    """What to subtract from bytes and then multiply by, (1, C, 1, 1) each; kept, as a copy to a GPU waits for it."""
    with torch.inference_mode(False):
        shift = torch.tensor([255 * m for m in mean], dtype=dtype).view(1, -1, 1, 1)
        scale = torch.tensor([1 / (255 * s) for s in std], dtype=dtype).view(1, -1, 1, 1)
        return shift.to(device), scale.to(device)
