"""Measures networks with weights that they all share, trained a step at a time: cheap, and an estimate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from nat_plugin.errors import NATError
from nat_plugin.evaluators.base import Assessment, Evaluator, EvaluatorContext, Split
from nat_plugin.evaluators.feed import DataFeed, Feed
from nat_plugin.ir import Network, key
from nat_plugin.nets import SharedWeights, Supernet, move_paths, wiring_paths
from nat_plugin.search.base import Measurement, Proposal
from nat_plugin.settings import Settings, State
from nat_plugin.training.optimizer import snapshot
from nat_plugin.training.schedule import cosine
from nat_plugin.training.seeds import derive_seed, seeded
from nat_plugin.training.steps import ImageSteps, loss_and_hits


class SupernetSettings(Settings):
    """Settings of the ``supernet`` evaluator."""

    batch: int = Field(default=64, ge=1, le=65_536, description="images per step of the shared weights")
    accumulation: int = Field(
        default=1,
        ge=1,
        le=1024,
        description="parts in which a batch goes through the network, to save memory; batch norm uses the statistics "
        "of a part",
    )
    lr: float = Field(default=0.025, gt=0, le=100, description="learning rate of SGD at the first step")
    min_lr: float = Field(default=0.0, ge=0, le=100, description="learning rate at the last step")
    steps: int | None = Field(
        default=None,
        ge=1,
        le=10**9,
        description="steps over which the learning rate falls along half a cosine; null: it stays constant",
    )
    momentum: float = Field(default=0.9, ge=0, lt=1, description="momentum of SGD")
    weight_decay: float = Field(default=3e-4, ge=0, le=1, description="weight decay of SGD")
    grad_clip: float = Field(default=5.0, ge=0, le=1e6, description="largest norm of the gradient; 0: no limit")
    label_smoothing: float = Field(
        default=0.1, ge=0, lt=1, description="share of the label spread over all classes, in training only"
    )
    reward: Literal["loss", "accuracy"] = Field(
        default="loss",
        description="the score: minus the cross-entropy, which ranks changes of one network far better, or accuracy, "
        "as in the paper",
    )
    reward_images: int | None = Field(
        default=1000,
        ge=1,
        le=10**9,
        description="images of the reward split drawn for every round of measurements; null: all of them",
    )
    reward_augment: bool = Field(
        default=True,
        description="measure on images augmented as in training, with the same random draw for all networks; false: "
        "on plain images, whose batch statistics differ from those of training",
    )
    reward_batch: int = Field(
        default=500, ge=2, le=65_536, description="maximum batch of a measurement; batch norm uses its statistics"
    )


class SupernetEvaluator(Evaluator):
    """Weight sharing: one supernet is trained on ``data.weights``, and networks are scored with it on ``data.reward``.

    Batch norm uses the statistics of the batch at hand, in measurements too: running averages over paths of different
    networks fit none of them. Therefore measurements are made in few large batches of about equal size, and on images
    augmented as in training: the borders that a random crop leaves move the statistics (docs/evidence/index.md).
    """

    Settings = SupernetSettings
    settings: SupernetSettings
    how = "scored on shared weights, which can take worse for better (`final:` in a recipe trains them)"
    assessed = "these two networks with these shared weights"

    def __init__(self, context: EvaluatorContext, settings: SupernetSettings) -> None:
        super().__init__(context, settings)
        template, compute = common_template(context.inputs), context.compute
        self.feed = self.images()
        if (template.input, template.head.classes) != (self.feed.shape, self.feed.classes):
            raise NATError(
                f"the networks take images of {template.input} in {template.head.classes} classes, data set "
                f"'{self.feed.name}' has {self.feed.shape} in {self.feed.classes}"
            )
        with seeded(compute.device, derive_seed(context.seed, "supernet")):
            self.net = self.shared(template)
        for network in context.inputs:
            self.net.active_parameters(network)  # a NATError here says what the supernet cannot hold
        self.net.to(compute.device, **compute.form)  # type: ignore[call-overload]
        self._steps = ImageSteps(self.net, settings, compute, settings.accumulation)
        self.steps_done = 0  # of the shared weights
        self._rounds_done = 0
        self._known: dict[str, tuple[float, float]] = {}  # by key: accuracy and loss, while weights and images stay

    def images(self) -> Feed:
        """Where images come from."""
        return DataFeed(self.context.images, self.context.compute, self.context.seed, self.settings)

    def shared(self, template: Network) -> SharedWeights:
        """The shared weights, fresh, for all that may be proposed."""
        paths = move_paths(self.context.inputs, self.context.rule)
        if self.context.wirings:
            paths = {name: paths[name] | wired for name, wired in wiring_paths(template).items()}
        return Supernet(template, paths)

    def objective(self, logits: Tensor, x: Tensor, y: Tensor) -> Tensor:  # noqa: ARG002 - what an override gets
        """What a step on shared weights makes less, summed over the images."""
        return F.cross_entropy(logits, y, label_smoothing=self.settings.label_smoothing, reduction="sum")

    def train(self, networks: Sequence[Network]) -> dict[str, float]:
        """One step per network, in order, each on the next batch. Reports mean loss (with label smoothing) and
        accuracy over the training batches, and the learning rate of the last step."""
        if not networks:
            return {}
        self._known.clear()
        self.net.train()
        lr = 0.0
        reports = []
        for network in networks:
            lr = self._lr()
            x, y = self.feed.next()
            active = list(self.net.active_parameters(network))
            sums = self._steps.step(x, y, partial(self._losses, network), lr, active)
            reports.append(sums / (len(y) * self.context.compute.ranks.count))
            self.steps_done += 1
        loss_mean, accuracy = torch.stack(reports).mean(0).tolist()
        return {"loss": loss_mean, "accuracy": accuracy, "lr": lr, "steps": float(self.steps_done)}

    def _losses(self, network: Network, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        with self.context.compute.precision():
            logits = self.net(x, network)
        loss = self.objective(logits.to(self.context.compute.dtype), x, y)
        return loss, loss_and_hits(loss, logits, y)

    def measure(self, proposals: Sequence[Proposal]) -> list[Measurement | None]:
        """All of a call on the same images, every distinct network once."""
        networks = {key(network): network for each in proposals for network in (each.network, each.source)}
        found = self._evaluate(networks)
        return [self._compare(found[key(each.source)], found[key(each.network)]) for each in proposals]

    def assess(self, network: Network, split: Split) -> Assessment:
        batches, order = self.feed.batches(split)
        right = torch.cat([self._logits(x, network).argmax(1) == y for x, y in batches])
        return Assessment.of(right.cpu()[order.argsort()])

    def state(self) -> State:
        return {
            "net": snapshot(self.net.state_dict()),
            "optimizer": self._steps.state(),
            "steps_done": self.steps_done,
            "rounds_done": self._rounds_done,
            **self.feed.state(),
        }

    def restore(self, state: State) -> None:
        self.net.load_state_dict(state["net"])
        self._steps.restore(state["optimizer"])
        self._known.clear()
        self.steps_done, self._rounds_done = int(state["steps_done"]), int(state["rounds_done"])
        self.feed.restore(state)

    def _lr(self) -> float:
        settings = self.settings
        if settings.steps is None:
            return settings.lr
        return cosine(self.steps_done / settings.steps, settings.lr, settings.min_lr)

    def _evaluate(self, networks: dict[str, Network]) -> dict[str, tuple[float, float]]:
        """Accuracy and cross-entropy by key; one wait for the device."""
        if self.feed.resamples:
            self._known.clear()
        number, self._rounds_done = self._rounds_done, self._rounds_done + 1
        wanted = {name: network for name, network in networks.items() if name not in self._known}
        if wanted:
            ranks = self.context.compute.ranks
            sums, images = torch.zeros(len(wanted), 2, device=self.context.compute.device), 0
            own = ranks.part(0, len(wanted))  # each network by one process, on whole batches
            for x, y in self.feed.reward(number, self.steps_done):
                images += len(y)
                for row, network in zip(sums[own], list(wanted.values())[own], strict=True):
                    logits = self._logits(x, network)
                    loss = F.cross_entropy(logits, y, reduction="sum")
                    row += torch.stack([(logits.argmax(1) == y).sum(), loss])
            ranks.add([sums])
            rows = (sums / images).tolist()
            self._known.update({name: (row[0], row[1]) for name, row in zip(wanted, rows, strict=True)})
        return {name: self._known[name] for name in networks}

    def _logits(self, x: Tensor, network: Network) -> Tensor:
        """Without gradients: (images, classes)."""
        self.net.eval()
        with torch.no_grad(), self.context.compute.precision():
            logits: Tensor = self.net(x, network)
        return logits.to(self.context.compute.dtype)

    def _compare(self, source: tuple[float, float], network: tuple[float, float]) -> Measurement | None:
        if not all(math.isfinite(value) for value in (*source, *network)):
            return None
        details = {
            "accuracy": network[0],
            "source_accuracy": source[0],
            "loss": network[1],
            "source_loss": source[1],
        }
        if self.settings.reward == "accuracy":
            return Measurement(network[0], source[0], details)
        return Measurement(-network[1], -source[1], details)


def common_template(networks: Sequence[Network]) -> Network:
    """The first of the networks, after a check that all can share weights: of one size, with the same cells and nodes.
    NATError if they cannot, or if there is none."""
    if not networks:
        raise NATError("a supernet needs at least one input architecture")
    first, *others = networks
    for number, other in enumerate(others, start=2):
        for what in ("input", "stem", "head", "placements"):
            if getattr(other, what) != getattr(first, what):
                raise NATError(f"input {number} differs from the first in its {what}: one size for all")
        for name, cell in first.cells:
            twin = other.by_name[name]
            if (twin.inputs, twin.nodes, twin.project) != (cell.inputs, cell.nodes, cell.project):
                raise NATError(f"input {number} has other nodes in cell '{name}' than the first: a supernet serves one")
    return first
