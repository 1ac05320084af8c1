"""Batches of a split, ready for a network: shuffled and augmented for training, plain and in order for evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from nat_plugin.data.augment import Draws, crop_and_flip, cut_out, draw
from nat_plugin.data.dataset import DataSet, Images
from nat_plugin.errors import NATError
from nat_plugin.parallel.ranks import ALONE, Ranks


def train_batches(
    data: DataSet,
    split: Images,
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
    order = torch.randperm(count, generator=generator).to(split.x.device)
    height, width = split.x.shape[2:]
    draws = draw(data.augment, count, (height, width), generator, split.x.device)
    size = ranks.batch(batch_size, count)
    normalise = partial(data.normalise, dtype=dtype, memory_format=memory_format)
    return _batches(data, split, size, order[: count // size * size], draws, normalise, ranks)


def _batches(
    data: DataSet,
    split: Images,
    size: int,
    order: Tensor,
    draws: Draws,
    normalise: Callable[[Tensor], Tensor],
    ranks: Ranks = ALONE,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Augmented batches of the images in ``order``; the last one may have fewer."""
    for start in range(0, len(order), size):
        part = ranks.part(start, start + size)
        batch = split.pick(order[part])
        x = crop_and_flip(batch.x, draws[part], data.augment)
        yield cut_out(normalise(x), draws[part], data.augment), batch.y


def eval_batches(
    data: DataSet,
    split: Images,
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
    if augment is not None:
        height, width = split.x.shape[2:]
        draws = draw(data.augment, count, (height, width), augment, split.x.device)
        order = torch.arange(count, device=split.x.device)
        return _batches(data, split, batch_size, order, draws, normalise)
    parts = (split.pick(slice(start, start + batch_size)) for start in range(0, count, batch_size))
    return ((normalise(part.x), part.y) for part in parts)


def take(split: Images, n: int, generator: torch.Generator) -> Images:
    """`n` different images of `split` at random, or all of them in random order where it has no more than `n`.

    Raises:
        NATError: `n` is less than 1, or the split is empty.
    """
    order = torch.randperm(_count(split, n, "the number of images to take"), generator=generator)
    return split.pick(order[:n].to(split.x.device))


def _count(split: Images, size: int, what: str = "the batch size") -> int:
    if size < 1:
        raise NATError(f"{what} is {size}: it must be at least 1")
    if len(split) == 0:
        raise NATError("a split without images gives no batches: use a larger share or count for it")
    return len(split)
