"""Where the images of shared weights come from: batches to train on, to measure on, and to choose on."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import islice
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

from nat_plugin.data import DataSet, SplitImages, eval_batches, take, train_batches
from nat_plugin.device import BatchForm, Compute
from nat_plugin.settings import State
from nat_plugin.training.seeds import generator

Batches: TypeAlias = Iterator[tuple[Tensor, Tensor]]
"""Normalised images (N, C, H, W) and labels (N,), on the device."""


class Feed(ABC):
    """Images of one task, in classes."""

    name: str
    shape: tuple[int, int, int]
    classes: int
    resamples: bool = False
    """Whether the images of one round of measurements are others than those of the next."""

    @abstractmethod
    def next(self) -> tuple[Tensor, Tensor]:
        """The next batch to train on, augmented; where several processes train, the part of this one."""

    @abstractmethod
    def reward(self, number: int, steps: int) -> Batches:
        """For a round of measurements, by its number and the steps that the weights have taken: as few batches as can
        be, no class by itself."""

    @abstractmethod
    def batches(self, split: str) -> tuple[Batches, Tensor]:
        """All of ``selection`` or ``test`` once, in as few batches, and where in the split each image stands
        (images,)."""

    @abstractmethod
    def calibration_batches(self, count: int) -> Batches:
        """About so many images as they are trained on, always the same; ``next`` goes on as if they had not been."""

    @abstractmethod
    def state(self) -> State: ...

    @abstractmethod
    def restore(self, state: State) -> None: ...


class FeedSettings(Protocol):
    """What of the settings of an evaluator is about images; see there."""

    @property
    def batch(self) -> int: ...
    @property
    def reward_images(self) -> int | None: ...
    @property
    def reward_augment(self) -> bool: ...
    @property
    def reward_batch(self) -> int: ...


class DataFeed(Feed):
    """Of a data set in memory: trains on ``weights``, measures on ``reward``. All follows from the seed."""

    def __init__(self, data: DataSet, compute: Compute, seed: int, settings: FeedSettings) -> None:
        self.name, self.shape, self.classes = data.name, data.shape, data.classes
        self._data, self._compute, self._seed, self._settings = data, compute, seed, settings
        self._weights = data.weights.to(compute.device)
        # Splits may be sorted by class, which batch statistics must not see.
        self._reward = take(data.reward, len(data.reward), generator(seed, "reward")).to(compute.device)
        count = settings.reward_images
        self.resamples = count is not None and count < len(self._reward)
        self._epoch, self._taken = 0, 0
        self._batches = self._open_epoch()

    def next(self) -> tuple[Tensor, Tensor]:
        batch = next(self._batches, None)
        if batch is None:
            self._epoch, self._taken = self._epoch + 1, 0
            self._batches = self._open_epoch()
            batch = next(self._batches)
        self._taken += 1
        return batch

    def reward_images(self, number: int) -> SplitImages:
        """Those of a round."""
        count = self._settings.reward_images
        if count is None or not self.resamples:
            return self._reward
        return take(self._reward, count, generator(self._seed, "reward round", number))

    def reward(self, number: int, steps: int) -> Batches:
        draws = generator(self._seed, "augmented", "reward", steps) if self._settings.reward_augment else None
        return self._large_batches(self.reward_images(number), draws)

    def batches(self, split: str) -> tuple[Batches, Tensor]:
        images: SplitImages = getattr(self._data, split)
        # Splits may be sorted by class, which batch statistics must not see.
        order = torch.randperm(len(images), generator=generator(self._seed, "hits", split))
        shuffled = images.pick(order.to(images.y.device)).to(self._compute.device)
        return self._large_batches(shuffled), order

    def calibration_batches(self, count: int) -> Batches:
        random, size = generator(self._seed, "recalibration"), min(self._settings.reward_batch, len(self._weights))
        batches = train_batches(self._data, self._weights, size, random, **self._form)
        return islice(batches, math.ceil(count / size))

    def state(self) -> State:
        return {"epoch": self._epoch, "batches_taken": self._taken}

    def restore(self, state: State) -> None:
        self._epoch = int(state["epoch"])
        self._batches = self._open_epoch()
        self._taken = int(state["batches_taken"])
        next(islice(self._batches, self._taken, self._taken), None)  # skip what that epoch has already given

    def _open_epoch(self) -> Batches:
        random, ranks = generator(self._seed, "supernet epoch", self._epoch), self._compute.ranks
        return train_batches(self._data, self._weights, self._settings.batch, random, ranks=ranks, **self._form)

    def _large_batches(self, images: SplitImages, augment: torch.Generator | None = None) -> Batches:
        """As few batches as ``reward_batch`` allows, of about equal size."""
        count = math.ceil(len(images) / self._settings.reward_batch)
        return eval_batches(self._data, images, math.ceil(len(images) / count), augment=augment, **self._form)

    @property
    def _form(self) -> BatchForm:
        return self._compute.form
