"""One fixed network trained, epoch by epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nat_plugin.data import DataSet, SplitImages, eval_batches, train_batches
from nat_plugin.device import Compute
from nat_plugin.errors import NATError
from nat_plugin.ir import Network
from nat_plugin.nets import CellNetwork, build
from nat_plugin.settings import State
from nat_plugin.training.optimizer import snapshot
from nat_plugin.training.schedule import Schedule
from nat_plugin.training.seeds import derive_seed, generator, seeded
from nat_plugin.training.statistics import Accuracy
from nat_plugin.training.steps import ImageSteps, loss_and_hits

EVAL_BATCH = 512


class NetworkTrainer:
    """Trains ``network`` on ``data.weights`` by ``schedule``.

    ``module``, where given, makes the module to train, or None where the core is to build it with fresh weights. One
    that the core did not build has neither drop path nor an auxiliary head: NATError for a schedule with one of them.

    What comes out depends on ``seed`` and not on the program's global generators, which are left as they were. A
    trainer that is restored between two epochs ends as one that was never interrupted (to the bit, on the CPU).
    """

    def __init__(
        self,
        network: Network,
        data: DataSet,
        schedule: Schedule,
        compute: Compute,
        seed: int = 0,
        module: Callable[[Network], nn.Module | None] | None = None,
    ) -> None:
        self.network, self.schedule, self.compute, self.seed = network, schedule, compute, seed
        if (network.input, network.head.classes) != (data.shape, data.classes):
            raise NATError(
                f"the network takes images of {network.input} in {network.head.classes} classes, data set "
                f"'{data.name}' has {data.shape} in {data.classes}"
            )
        self._data = schedule.augmented(data)
        self._split = data.weights.to(compute.device)
        with seeded(compute.device, derive_seed(seed, "initial weights")):
            self.net = _built(network, schedule, module)
        self.net.to(compute.device, **compute.form)  # type: ignore[call-overload]
        if isinstance(self.net, CellNetwork):
            self.net.ranks = compute.ranks
        self._forward: Callable[[Tensor], Any] = torch.compile(self.net) if schedule.compile else self.net
        self._steps = ImageSteps(self.net, schedule, compute, schedule.accumulation)
        self.epochs_done = 0
        self.failed = False

    @property
    def finished(self) -> bool:
        """Trained to the end, or ``failed``: the loss is no longer a finite number."""
        return self.failed or self.epochs_done >= self.schedule.epochs

    def epoch(self) -> dict[str, float]:
        """Train for one epoch. What there is to report: its number from 1, the learning rate it began with, and mean
        loss (with label smoothing, without the auxiliary head) and accuracy on the augmented training images."""
        if self.finished:
            raise RuntimeError("the training is over")
        number, device = self.epochs_done, self.compute.device
        self.net.train()
        if isinstance(self.net, CellNetwork):
            self.net.drop_path = self.schedule.drop_path_at(number)
        batches = self._batches(generator(self.seed, "epoch", number))
        size = self.compute.ranks.batch(self.schedule.batch, len(self._split))
        steps = len(self._split) // size
        sums = torch.zeros(2, device=device)
        with seeded(device, derive_seed(self.seed, "drop path", number, *self._noise_of_its_own)):
            for found in self._steps.over(
                batches, self._losses, lambda step: self.schedule.learning_rate(number + step / steps)
            ):
                sums += found
        loss, hits = (sums / (steps * size)).tolist()
        self.epochs_done += 1
        self.failed = not math.isfinite(loss)
        lr = self.schedule.learning_rate(number)
        return {"epoch": float(number + 1), "lr": lr, "loss": loss, "accuracy": hits}

    @property
    def _noise_of_its_own(self) -> tuple[int, ...]:
        """Modules that the core did not build draw for the images at hand, of which each process has others."""
        rank = self.compute.ranks.number
        return (rank,) if rank and not isinstance(self.net, CellNetwork) else ()

    def _batches(self, random: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        form, ranks = self.compute.form, self.compute.ranks
        return train_batches(self._data, self._split, self.schedule.batch, random, ranks=ranks, **form)

    def _losses(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        smoothing, dtype = self.schedule.label_smoothing, self.compute.dtype
        with self.compute.precision():
            output = self._forward(x)
        logits, auxiliary = output if isinstance(output, tuple) else (output, None)
        loss = F.cross_entropy(logits.to(dtype), y, label_smoothing=smoothing, reduction="sum")
        found = loss_and_hits(loss, logits, y)
        if auxiliary is None:
            return loss, found
        side = F.cross_entropy(auxiliary.to(dtype), y, label_smoothing=smoothing, reduction="sum")
        return loss + self.schedule.auxiliary * side, found

    def accuracy(self, split: SplitImages) -> Accuracy:
        """In evaluation mode, on images as they are."""
        self.net.eval()
        losses, hits = [], []
        with torch.no_grad():
            batches = eval_batches(self._data, split.to(self.compute.device), EVAL_BATCH, **self.compute.form)
            for x, y in batches:
                with self.compute.precision():
                    logits = self._forward(x).to(self.compute.dtype)
                losses.append(F.cross_entropy(logits, y, reduction="sum"))
                hits.append(logits.argmax(1) == y)
        right = torch.cat(hits).cpu()
        loss = float(torch.stack(losses).sum()) / len(split)
        return Accuracy(int(right.sum()), len(split), loss, right)

    def weights(self) -> dict[str, Tensor]:
        """Copies on the CPU of what the network computes with in evaluation mode: without an auxiliary head."""
        own = snapshot(self.net.state_dict())
        if not isinstance(self.net, CellNetwork):
            return own
        return {name: tensor for name, tensor in own.items() if not name.startswith("auxiliary.")}

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Take over weights to measure with; an auxiliary head, which only training needs, is gone afterwards."""
        if isinstance(self.net, CellNetwork):
            self.net.auxiliary = None
        self.net.load_state_dict(dict(weights))

    def state(self) -> State:
        """Copies on the CPU of all that ``restore`` needs. Random numbers follow from seed and epoch, so no
        generator is among it."""
        return {
            "epochs_done": self.epochs_done,
            "failed": self.failed,
            "net": snapshot(self.net.state_dict()),
            "optimizer": self._steps.state(),
        }

    def restore(self, state: State) -> None:
        """Go on from a state of a trainer that was made with the same arguments."""
        self.epochs_done, self.failed = int(state["epochs_done"]), bool(state["failed"])
        self.net.load_state_dict(state["net"])
        self._steps.restore(state["optimizer"])


def _built(network: Network, schedule: Schedule, module: Callable[[Network], nn.Module | None] | None) -> nn.Module:
    made = module(network) if module is not None else None
    if made is None:
        return build(network, auxiliary=schedule.auxiliary > 0)
    for name in ("auxiliary", "drop_path"):
        if getattr(schedule, name):
            raise NATError(
                f"schedule.{name} is {getattr(schedule, name):g}: modules of this format have none; set it to 0"
            )
    return made


def epoch_note(figures: Mapping[str, float], epochs: int) -> str:
    """What ``NetworkTrainer.epoch`` reports of one of so many, in a few words."""
    done, loss, accuracy = figures["epoch"], figures["loss"], figures["accuracy"]
    return f"epoch {done:.0f}/{epochs}: loss {loss:.3f}, accuracy {accuracy:.1%} in training"


def train(trainer: NetworkTrainer, after_epoch: Callable[[dict[str, float]], None] | None = None) -> None:
    """Train to the end; ``after_epoch`` gets what each epoch reports."""
    while not trainer.finished:
        report = trainer.epoch()
        if after_epoch is not None:
            after_epoch(report)
