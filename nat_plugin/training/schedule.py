"""How a network is trained from scratch. The defaults are those of the DARTS evaluation on CIFAR-10."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from nat_plugin.errors import NATError
from nat_plugin.settings import Settings

if TYPE_CHECKING:
    from nat_plugin.data import DataSet


def cosine(progress: float, highest: float, lowest: float) -> float:
    """From ``highest`` at progress 0 to ``lowest`` at 1, along half a cosine (Loshchilov and Hutter 2017)."""
    return lowest + (highest - lowest) * (1 + math.cos(math.pi * min(1.0, max(0.0, progress)))) / 2


class Schedule(Settings):
    """Training from scratch by SGD. Defaults: ``train.py`` of DARTS (600 epochs on CIFAR-10)."""

    epochs: int = Field(default=600, ge=1, le=100_000, description="passes over the training images")
    batch: int = Field(default=96, ge=1, le=65_536, description="images per step of the weights")
    lr: float = Field(default=0.025, gt=0, le=100, description="highest learning rate of SGD")
    min_lr: float = Field(default=0.0, ge=0, le=100, description="final learning rate, if cosine is on")
    cosine: bool = Field(
        default=True,
        description="the learning rate falls along half a cosine, step by step; false: it is constant, except for "
        "lr_decay",
    )
    lr_decay: float = Field(
        default=1.0, gt=0, le=1, description="factor of the learning rate after every epoch, if cosine is off"
    )
    warmup: float = Field(
        default=0.0, ge=0, le=10_000, description="epochs in which the learning rate first rises linearly"
    )
    momentum: float = Field(default=0.9, ge=0, lt=1, description="momentum of SGD")
    weight_decay: float = Field(default=3e-4, ge=0, le=1, description="weight decay of SGD, on all parameters")
    grad_clip: float = Field(default=5.0, ge=0, le=1e6, description="largest norm of the gradient; 0: no limit")
    drop_path: float = Field(
        default=0.2, ge=0, lt=1, description="probability of dropping a path at the end; rises from 0 epoch by epoch"
    )
    auxiliary: float = Field(
        default=0.4,
        ge=0,
        le=10,
        description="weight of the loss of an auxiliary head at two thirds of the depth; 0: no such head",
    )
    label_smoothing: float = Field(default=0.0, ge=0, lt=1, description="share of the label spread over all classes")
    cutout: int | None = Field(
        default=16,
        ge=0,
        le=4096,
        description="side in pixels of the square cut out of training images; 0: none; null: the data set's default",
    )
    accumulation: int = Field(
        default=1, ge=1, le=1024, description="parts in which a batch goes through the network, to save memory"
    )
    compile: bool = Field(default=False, description="compile the network with torch.compile")

    @model_validator(mode="after")
    def _consistent(self) -> Schedule:
        if self.min_lr > self.lr:
            raise ValueError(f"min_lr is {self.min_lr:g}: it may not be above lr, {self.lr:g}")
        if self.cosine and self.lr_decay < 1:
            raise ValueError(f"lr_decay is {self.lr_decay:g}: the learning rate falls by a cosine: set cosine to false")
        if self.accumulation > self.batch:
            raise ValueError(f"accumulation is {self.accumulation}: a batch has only {self.batch} images")
        return self

    def learning_rate(self, epoch: float) -> float:
        """At a time counted in epochs, with fractions for the steps inside one."""
        if epoch < self.warmup:
            return self.lr * max(epoch, 1e-3) / self.warmup
        if not self.cosine:
            return self.lr * self.lr_decay ** math.floor(epoch - self.warmup)
        return cosine((epoch - self.warmup) / max(self.epochs - self.warmup, 1e-9), self.lr, self.min_lr)

    def drop_path_at(self, epoch: int) -> float:
        """Probability in an epoch, counted from 0 (DARTS: in proportion to the epoch)."""
        return self.drop_path * epoch / self.epochs

    def augmented(self, data: DataSet) -> DataSet:
        """The data with the cutout of this schedule. NATError where the square would cover whole images."""
        if self.cutout is None:
            return data
        if self.cutout >= min(data.shape[1:]):
            height, width = data.shape[1:]
            raise NATError(
                f"cutout is {self.cutout}, data set '{data.name}' has images of {height}x{width}: set less than "
                f"{min(height, width)}, 0 for none, or null for what the data set has"
            )
        return replace(data, augment=replace(data.augment, cutout=self.cutout))
