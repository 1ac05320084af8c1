"""The evaluator ``timm``: a model with weights, adapted as a supernet of its own moves."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field
from torch import Tensor, nn

from nat_plugin import NATError
from nat_plugin.evaluators import Assessment, EvaluatorContext, Saved, Split, SupernetEvaluator, SupernetSettings
from nat_plugin.extending import Metric, Outside, OutsideName, State
from nat_plugin.extending import Settings as AnySettings
from nat_plugin.ir import Network
from nat_plugin.measuring import LATENCY, LatencySettings
from nat_plugin.search import Measurement, Proposal
from nat_plugin.training import NetworkTrainer, Schedule, derive_seed, epoch_note, train
from nat_timm.adapter import TimmAdapter
from nat_timm.building.build import build
from nat_timm.building.entrypoint import attach
from nat_timm.measuring.latency import ModelLatency
from nat_timm.measuring.statistics import recalibrate
from nat_timm.networks import moved_document
from nat_timm.saving.folders import save
from nat_timm.saving.weights import PRETRAINED, pretrained_file, starting_weights, weights_file
from nat_timm.training.supernet import TimmSupernet
from nat_timm.training.tuning import objective, said

FITTED_ON = 500
"""Images on which operations in the place of blocks are fitted."""


class AdaptingSettings(SupernetSettings):
    """How the weights of a model are adapted to what it may become."""

    lr: float = Field(default=0.01, gt=0, le=100, description="learning rate of SGD at the first step")
    distil: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="share of distillation (distance from the model's own outputs) in the loss of steps on shared "
        "weights",
    )
    temperature: float = Field(default=2.0, gt=0, le=100, description="softmax temperature of the distillation loss")
    recalibration: int = Field(
        default=1000,
        ge=0,
        le=10**9,
        description="training images on which batch norm statistics of adapted weights are computed again; 0: they "
        "are left as they are",
    )


def _without_prefix(source: object) -> object:
    """The path of a folder that is named as timm does it."""
    return source.removeprefix("local-dir:") if isinstance(source, str) else source


class TimmSettings(AdaptingSettings):
    """Settings of the ``timm`` evaluator."""

    weights: Annotated[OutsideName, BeforeValidator(_without_prefix)] | None = Field(
        default=None,
        description="weights of the model: a folder with model.safetensors, a .safetensors file, or `pretrained` for "
        "those of timm, which downloads them if needed; left out: initial weights",
    )
    train: Schedule | None = Field(
        default=None,
        description="train the model itself on data.weights first, by this schedule; left out: it is not trained",
    )
    latency_batch: int | None = Field(
        default=None,
        ge=1,
        le=65_536,
        description="batch size at which latency is timed when the run starts, so that a budget can limit `latency` "
        "in ms; `nat measure` and `costs` have more settings and keep the table",
    )
    latency_device: str = Field(default="auto", description="device on which it is timed: auto, cpu, cuda or cuda:N")


class TimmEvaluator(SupernetEvaluator):
    """The model with its weights becomes a supernet of its own moves, adapted on ``data.weights`` to the proposals.

    Measurements are as those of ``supernet``. A final stage goes on from the adapted weights, and the result is a
    folder that timm loads.
    """

    Settings = TimmSettings
    settings: TimmSettings
    how = "scored on adapted weights"
    how_final = "fine-tuned"
    metric_names = (LATENCY,)
    net: TimmSupernet

    @classmethod
    def metrics(cls, settings: AnySettings) -> Mapping[str, Metric]:
        assert isinstance(settings, TimmSettings)
        if settings.latency_batch is None:
            return {}
        timed = LatencySettings(batch=settings.latency_batch, device=settings.latency_device)
        return {LATENCY: ModelLatency(timed)}

    def __init__(self, context: EvaluatorContext, settings: TimmSettings) -> None:
        super().__init__(context, settings)
        self._is_prepared = False
        self._teacher: nn.Module | None = None

    @property
    def outside(self) -> tuple[Outside, ...]:
        source = self.settings.weights
        if source == PRETRAINED:
            name = moved_document(self.context.inputs[0]).architecture
            file = pretrained_file(name)
            return () if file is None else (Outside(file, (file,), f"pretrained weights of {name}"),)
        if source is None:
            return ()
        return (Outside(Path(source), (weights_file(Path(source)),)),)

    def shared(self, template: Network) -> TimmSupernet:
        if template.origin is None or template.origin.format != TimmAdapter.name:
            raise NATError("the evaluator 'timm' is for models of the adapter 'timm'")
        model = build(moved_document(template), template.input, template.head.classes)
        attach(model, moved_document(template))
        starting_weights(model, self.settings.weights)
        return TimmSupernet(model, template, self.context.rule, self.pictures)

    def pictures(self) -> Iterator[Tensor]:
        """What operations in the place of blocks are fitted on: images of training, without labels."""
        return (x for x, _ in self.feed.calibration_batches(FITTED_ON))

    def objective(self, logits: Tensor, x: Tensor, y: Tensor) -> Tensor:
        teacher, settings = self.teacher if self.settings.distil else None, self.settings
        return objective(logits, y, said(teacher, x, self.context.compute), settings)

    def train(self, networks: Sequence[Network]) -> dict[str, float]:
        self._prepare()
        return super().train(networks)

    def measure(self, proposals: Sequence[Proposal]) -> list[Measurement | None]:
        self._prepare()
        return super().measure(proposals)

    def assess(self, network: Network, split: Split) -> Assessment:
        self._prepare()
        return super().assess(network, split)

    def module(self, network: Network) -> nn.Module:
        """A copy of the network with its weights as they are now, and running statistics measured anew."""
        self._prepare()
        made = self.net.inherited(network)
        if self.settings.recalibration:
            recalibrate(made, (x for x, _ in self.feed.calibration_batches(self.settings.recalibration)))
        return made

    def save(self, network: Network, weights: Mapping[str, Tensor] | None, folder: Path) -> Saved:
        """The folder ``model``, which ``timm.create_model`` loads."""
        made = self.module(network)
        if weights is not None:
            made.load_state_dict(dict(weights))
        images = self.context.images
        seen = {"mean": images.mean, "std": images.std, "input_size": images.shape, "crop_pct": images.crop_pct}
        made.pretrained_cfg = {**getattr(made, "pretrained_cfg", {}), **seen}  # type: ignore[assignment]
        save(made.to("cpu").eval(), folder / "model")
        return Saved("model", 'import timm\n\nmodel = timm.create_model("local-dir:model", pretrained=True)')

    def state(self) -> State:
        return super().state() | {
            "prepared": self._is_prepared,
            "teacher": None if self._teacher is None else copy.deepcopy(self._teacher).cpu().state_dict(),
        }

    def restore(self, state: State) -> None:
        super().restore(state)
        self._is_prepared, self._teacher = bool(state["prepared"]), None
        if state["teacher"] is not None:
            self.teacher.load_state_dict(state["teacher"])

    def _prepare(self) -> None:
        """Train the model itself, where that is wanted, once; what it may become inherits the weights then."""
        if self._is_prepared:
            return
        self._is_prepared = True
        context, schedule = self.context, self.settings.train
        if schedule is not None:
            seed, source = derive_seed(context.seed, "the model itself"), self.net.network
            trainer = NetworkTrainer(source, context.images, schedule, context.compute, seed, module=self._copied)
            train(trainer, lambda found: self.report(f"the model itself, {epoch_note(found, schedule.epochs)}"))
            if trainer.failed:
                raise NATError("evaluator.train: the training of the model itself diverged; lower its lr")
            self.net.base.load_state_dict(trainer.net.state_dict())
            self.net.refresh()
        if self.settings.distil:
            _ = self.teacher  # before its weights are adapted

    def _copied(self, _: Network) -> nn.Module:
        return copy.deepcopy(self.net.base)

    @property
    def teacher(self) -> nn.Module:
        """The model itself as it was before the weights were adapted."""
        if self._teacher is None:
            self._teacher = copy.deepcopy(self.net.base).eval().requires_grad_(False)
        return self._teacher
