"""Fine-tuning of a module, the same for whatever is compared."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from nat_plugin import NATError
from nat_plugin.device import Compute, memory_kept
from nat_plugin.evaluators import Batches
from nat_plugin.extending import Settings
from nat_plugin.training import Accuracy, ImageSteps, cosine, loss_and_hits

NO_BATCH = "train_loader gives no batch of two images or more, which batch norms need"
TEMPERATURES = tuple(2 ** (each / 4) for each in range(-8, 9))
"""Of logits, tried where models that are more or less confident are compared by their loss."""


class Tuning(Settings):
    """Fine-tuning by SGD, the learning rate falling along half a cosine."""

    epochs: int = Field(default=2, ge=0, le=100_000, description="passes over the training images")
    lr: float = Field(default=0.01, gt=0, le=100, description="learning rate at the first step")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="of SGD")
    weight_decay: float = Field(default=3e-4, ge=0, le=1, description="of SGD")
    grad_clip: float = Field(default=5.0, ge=0, le=1e6, description="largest norm of the gradient; 0: no limit")
    label_smoothing: float = Field(default=0.1, ge=0, lt=1, description="share of the label spread over all classes")
    distil: float = Field(default=0.5, ge=0, le=1, description="share of the loss that is distance to the teacher")
    temperature: float = Field(default=2.0, gt=0, le=100, description="softmax temperature of the distillation loss")


class LossSettings(Protocol):
    """How much a teacher counts; ``Tuning`` and the settings of the evaluator have it."""

    @property
    def label_smoothing(self) -> float: ...

    @property
    def distil(self) -> float: ...

    @property
    def temperature(self) -> float: ...


def objective(logits: Tensor, y: Tensor, taught: Tensor | None, settings: LossSettings) -> Tensor:
    """Cross-entropy and, with the logits of a teacher, the distance to them; summed over the images. ``logits`` and
    ``taught`` are (N, classes), ``y`` is (N,)."""
    loss = F.cross_entropy(logits, y, label_smoothing=settings.label_smoothing, reduction="sum")
    if taught is None:
        return loss
    return (1 - settings.distil) * loss + settings.distil * distance(logits, taught, settings.temperature)


def said(teacher: nn.Module | None, x: Tensor, compute: Compute) -> Tensor | None:
    """The logits (N, classes) of a teacher, without gradients."""
    if teacher is None:
        return None
    with torch.no_grad(), compute.precision():
        logits: Tensor = teacher(x)
    return logits.to(compute.dtype)


def distance(logits: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """The Kullback-Leibler divergence of distillation (Hinton et al. 2015), times temperature squared, summed over the
    images; both (N, classes)."""
    ours, theirs = F.log_softmax(logits / temperature, 1), F.log_softmax(teacher / temperature, 1)
    return F.kl_div(ours, theirs, reduction="sum", log_target=True) * temperature**2


@dataclass(frozen=True)
class TuningImages:
    """``epoch`` gives the batches of one pass, about ``steps`` of them."""

    epoch: Callable[[], Batches]
    steps: int


@memory_kept()
def fine_tune(
    model: nn.Module,
    images: TuningImages,
    tuning: Tuning,
    compute: Compute,
    teacher: nn.Module | None = None,
    after_step: Callable[[int], object] = lambda _: None,
) -> None:
    """Train a model in place; it is left in evaluation mode. ``after_step`` hears how many steps are done. NATError if
    its loss ends as no finite number, and where no batch can be trained on."""
    training, done, whole = ImageSteps(model, tuning, compute), 0, tuning.epochs * images.steps
    last = torch.zeros((), device=compute.device)

    def losses(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        with compute.precision():
            logits = model(x).to(compute.dtype)
        loss = objective(logits, y, said(teacher if tuning.distil else None, x, compute), tuning)
        return loss, loss_and_hits(loss, logits, y)

    def rate(_: int) -> float:
        return cosine(min(1.0, done / whole), tuning.lr, 0.0)

    for _ in range(tuning.epochs):
        model.train()
        batches = ((x, y) for x, y in images.epoch() if len(y) > 1)  # batch norm needs two
        for found in training.over(batches, losses, rate):
            done, last = done + 1, found[0]
            after_step(done)
    model.eval()
    if tuning.epochs and not done:
        raise NATError(NO_BATCH)
    if not math.isfinite(float(last)):
        raise NATError(f"fine-tuning diverged at a learning rate of {tuning.lr:g}; lower it")


@memory_kept()
@torch.no_grad()
def judged(model: nn.Module, found: Iterable[tuple[Tensor, Tensor]], compute: Compute) -> Accuracy:
    """What a model in evaluation mode gets right of images, and its loss at the temperature at which that is least
    (Guo et al., 2017), so that how confident it is, which training changes, does not count. NATError for no image."""
    model.eval()
    logits, labels = [], []
    for x, y in found:
        with compute.precision():
            logits.append(model(x).float())
        labels.append(y)
    if not labels:
        raise NATError("the loader gives no image to measure accuracy on")
    said, y = torch.cat(logits), torch.cat(labels)
    hits = said.argmax(1) == y
    losses = torch.stack([F.cross_entropy(said / each, y) for each in TEMPERATURES])
    return Accuracy(int(hits.sum()), len(y), float(losses.nan_to_num(math.inf).min()), hits.cpu())


def accuracy(model: nn.Module, found: Iterable[tuple[Tensor, Tensor]], compute: Compute) -> float:
    """Share of the images that a model in evaluation mode gets right. NATError for none."""
    return judged(model, found, compute).value
