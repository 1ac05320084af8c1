"""Batches of a split, ready for a network: shuffled and augmented for training, plain and in order for evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor

from nat_plugin.data.augment import Draws, crop_and_flip, cut_out, draw
from nat_plugin.data.dataset import DataSet, Images, SplitImages
from nat_plugin.errors import NATError
from nat_plugin.parallel.ranks import ALONE, Ranks

_S = TypeVar("_S", bound=SplitImages)


def train_batches(
    data: DataSet,
    split: SplitImages,
    batch_size: int,
    generator: torch.Generator,
    *,
    dtype: torch.dtype = torch.float32,
    memory_format: torch.memory_format = torch.channels_last,
    ranks: Ranks = ALONE,
) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch of `split`: shuffled, augmented, normalised batches (B, C, H, W) and labels (B,) on its device.

    All randomness comes from the CPU `generator`, and all of it is drawn in this call: the generator is at the same
    state however far the epoch is followed, so a checkpoint between two epochs needs nothing but that state. It
    also makes for one copy to a GPU instead of several for every batch. The last incomplete batch is dropped where
    there is a complete one.

    Of `ranks`, each gets its part of every batch; the parts of all together are the batches of one process.

    Raises:
        NATError: `batch_size` is less than 1 or cannot be divided among the ranks, or the split is empty.
    """
    count = _count(split, batch_size)
    order = torch.randperm(count, generator=generator).to(split.y.device)
    random = _Random.drawn(data, split, generator)
    size = ranks.batch(batch_size, count)
    parts = [ranks.part(start, start + size) for start in range(0, count - size + 1, size)]
    normalise = partial(data.normalise, dtype=dtype, memory_format=memory_format)
    return _augmented(
        data, split.batches([order[part] for part in parts], random.seeds_of(parts)), parts, random, normalise
    )


@dataclass(frozen=True, eq=False)
class _Random:
    """What is drawn for every image of a pass: before it is in a batch, and in it."""

    seeds: Tensor | None
    draws: Draws

    @staticmethod
    def drawn(data: DataSet, split: SplitImages, generator: torch.Generator) -> _Random:
        count, (height, width) = len(split), split.shape[1:]
        draws = draw(data.augment, count, (height, width), generator, split.y.device)
        return _Random(split.seeds(count, generator), draws)

    def seeds_of(self, parts: Iterable[slice]) -> list[Tensor] | None:
        return None if self.seeds is None else [self.seeds[part] for part in parts]


def _augmented(
    data: DataSet,
    found: Iterator[Images],
    parts: Sequence[slice],
    random: _Random,
    normalise: Callable[[Tensor], Tensor],
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of which each has the images of a part of the pass."""
    for part, batch in zip(parts, found, strict=True):
        draws = random.draws[part]
        yield cut_out(normalise(crop_and_flip(batch.x, draws, data.augment)), draws, data.augment), batch.y


def eval_batches(
    data: DataSet,
    split: SplitImages,
    batch_size: int,
    *,
    dtype: torch.dtype = torch.float32,
    memory_format: torch.memory_format = torch.channels_last,
    augment: torch.Generator | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """All of `split` once, in order: normalised batches (B, C, H, W) and labels (B,). Images are augmented as in
    training, by draws from the CPU generator `augment`, or left as they are without one.

    Raises:
        NATError: `batch_size` is less than 1, or the split is empty.
    """
    count = _count(split, batch_size)
    normalise = partial(data.normalise, dtype=dtype, memory_format=memory_format)
    parts = [slice(start, start + batch_size) for start in range(0, count, batch_size)]
    if augment is None:
        return ((normalise(batch.x), batch.y) for batch in split.batches(parts))
    random = _Random.drawn(data, split, augment)
    return _augmented(data, split.batches(parts, random.seeds_of(parts)), parts, random, normalise)


def take(split: _S, n: int, generator: torch.Generator) -> _S:
    """`n` different images of `split` at random, or all of them in random order where it has no more than `n`.

    Raises:
        NATError: `n` is less than 1, or the split is empty.
    """
    order = torch.randperm(_count(split, n, "the number of images to take"), generator=generator)
    return split.pick(order[:n].to(split.y.device))


def _count(split: SplitImages, size: int, what: str = "the batch size") -> int:
    if size < 1:
        raise NATError(f"{what} is {size}: it must be at least 1")
    if len(split) == 0:
        raise NATError("a split without images gives no batches: use a larger share or count for it")
    return len(split)
