"""The one place where a network learns from images: final training, shared weights and fine-tuning step alike.

What learns without images has a place of its own: policies and critics, by ``nat_plugin.policy.optimizers.update``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Protocol, TypeAlias

import torch
from torch import Tensor, nn

from nat_plugin.device import Compute
from nat_plugin.settings import State
from nat_plugin.training.optimizer import Optimizer

Losses: TypeAlias = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Of images and labels: what is minimised, summed over the images, and ``figures`` of them."""


class SGDSettings(Protocol):
    """What settings of a training say of SGD."""

    @property
    def momentum(self) -> float: ...
    @property
    def weight_decay(self) -> float: ...
    @property
    def grad_clip(self) -> float: ...


class ImageSteps:
    """Steps of SGD on batches of images, each batch in ``accumulation`` parts of which one is in memory at a time."""

    def __init__(self, module: nn.Module, settings: SGDSettings, compute: Compute, accumulation: int = 1) -> None:
        self._optimizer = Optimizer(
            module.named_parameters(),
            compute,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
            grad_clip=settings.grad_clip,
        )
        self._module, self._ranks, self._is_same = module, compute.ranks, False
        self._parameters, self._accumulation = list(module.parameters()), accumulation

    def step(
        self, x: Tensor, y: Tensor, losses: Losses, lr: float, parameters: Sequence[nn.Parameter] | None = None
    ) -> Tensor:
        """One step of ``parameters`` (left out: all), which alone may have gradients; the sum of the ``figures``. Where
        several processes train, ``x`` and ``y`` are the part of this one, as large as that of each; the step and the
        sum are those of all parts."""
        self._begin_alike()
        sums, images = torch.zeros(2, device=x.device), len(y) * self._ranks.count
        parts = min(self._accumulation, len(y))
        for part_x, part_y in zip(x.tensor_split(parts), y.tensor_split(parts), strict=True):
            with self._ranks.learning():
                loss, found = losses(part_x, part_y)
            self._optimizer.backward(loss / images)
            sums += found
        learned = self._parameters if parameters is None else parameters
        self._ranks.add([*(each.grad for each in learned if each.grad is not None), sums])
        self._optimizer.step(learned, lr)
        return sums

    def _begin_alike(self) -> None:
        """Weights that were computed by each process may differ in their last bits."""
        if not self._is_same:
            self._ranks.same(chain(self._module.parameters(), self._module.buffers()))
            self._is_same = True

    def over(
        self, batches: Iterable[tuple[Tensor, Tensor]], losses: Losses, lr: Callable[[int], float]
    ) -> Iterator[Tensor]:
        """A step on each batch as it is asked for; ``lr``: of the step of that number in this pass, from 0."""
        for number, (x, y) in enumerate(batches):
            yield self.step(x, y, losses, lr(number))

    def state(self) -> State:
        return self._optimizer.state()

    def restore(self, state: State) -> None:
        """Go on from a state of ``state``."""
        self._optimizer.restore(state)


def loss_and_hits(loss: Tensor, logits: Tensor, y: Tensor) -> Tensor:
    """[sum of the losses, hits] over some images, still on the device."""
    return torch.stack([loss.detach(), (logits.detach().argmax(1) == y).sum()])
