"""Measures networks by training them from scratch: slow, and the most reliable."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, TypeAlias

import torch
from pydantic import Field

from nat_plugin.evaluators.base import Assessment, Evaluator, EvaluatorContext, Split
from nat_plugin.evaluators.trial import Trial
from nat_plugin.ir import Network, key
from nat_plugin.search.base import Measurement, Proposal
from nat_plugin.settings import Settings, State
from nat_plugin.training.schedule import Schedule
from nat_plugin.training.seeds import derive_seed
from nat_plugin.training.trainer import NetworkTrainer, epoch_note, train

KEPT = 8
"""How many trained networks stay in memory; others are trained again where their weights are asked for."""

TrainedFigures: TypeAlias = dict[str, Any]
"""Of one training: accuracy and loss on the reward images, and bool (images,) of the selection images."""


class TrainingSettings(Settings):
    """Settings of the ``training`` evaluator."""

    schedule: Schedule = Field(default_factory=Schedule, description="how every network is trained")
    seeds: int = Field(default=1, ge=1, le=1000, description="trainings of every network, whose mean is used")
    score: Literal["accuracy", "loss"] = Field(
        default="accuracy", description="the score on the reward images: accuracy, or minus the cross-entropy"
    )


class TrainingEvaluator(Evaluator):
    """Trains every network from scratch on ``data.weights`` and scores it on ``data.reward``.

    Networks that compute the same (``key``) are trained once. ``after_epoch``, where set, is called after every epoch;
    a state that is taken there goes on in the middle of the training.
    """

    Settings = TrainingSettings
    settings: TrainingSettings
    how = "trained from scratch"
    assessed = "these two trained networks"
    cheap = False

    def __init__(self, context: EvaluatorContext, settings: TrainingSettings) -> None:
        super().__init__(context, settings)
        self.after_epoch: Callable[[dict[str, float]], None] | None = None
        self.trainings = 0  # that this object has finished
        self._results: dict[str, list[TrainedFigures | None]] = {}  # by key: what every seed gave, None if it failed
        self._taken: dict[tuple[str, int], TrainedFigures | None] = {}  # of workers, until earlier seeds are known too
        self._kept: OrderedDict[tuple[str, int], NetworkTrainer] = OrderedDict()
        self._running: tuple[str, int, NetworkTrainer] | None = None
        self._unfinished: State | None = None

    def trials(self, proposals: Sequence[Proposal]) -> list[Trial]:
        """Trainings, all seeds of a network side by side."""
        wanted: dict[str, Trial] = {}
        for network in dict.fromkeys(network for each in proposals for network in (each.source, each.network)):
            known = self._results.get(key(network), [])
            for seed in range(len(known), self.settings.seeds if None not in known else 0):
                trial = Trial(network, seed)
                if (key(network), seed) not in self._taken:
                    wanted.setdefault(trial.name, trial)
        return list(wanted.values())

    def carry_out(self, trial: Trial) -> State:
        return {"figures": self._figures(trial.network, trial.seed)}

    def take(self, trial: Trial, found: State | None) -> None:
        name = key(trial.network)
        self._taken[name, trial.seed] = None if found is None else found["figures"]
        runs = self._results.setdefault(name, [])
        while None not in runs and (name, len(runs)) in self._taken:
            runs.append(self._taken.pop((name, len(runs))))

    def measure(self, proposals: Sequence[Proposal]) -> list[Measurement | None]:
        return [self._compare(self._means(each.source), self._means(each.network)) for each in proposals]

    def assess(self, network: Network, split: Split) -> Assessment:
        """By the first training, also where there are several seeds; nothing is right if it failed."""
        images = self.context.images.selection if split == "selection" else self.context.images.test
        found = self._runs(network, 1)[0]
        if found is None:
            return Assessment.of(torch.zeros(len(images), dtype=torch.bool))
        if split == "selection":
            return Assessment.of(torch.as_tensor(found["selection"]))
        trainer = self._kept.get((key(network), 0)) or self._train(network, 0)
        return Assessment.of(trainer.accuracy(images).hits)

    def state(self) -> State:
        unfinished = self._unfinished
        if self._running is not None:
            name, seed, trainer = self._running
            unfinished = {"key": name, "seed": seed, "trainer": trainer.state()}
        return {"results": _copy(self._results), "unfinished": unfinished}

    def restore(self, state: State) -> None:
        self._results = _copy(state["results"])
        self._running, self._unfinished = None, state["unfinished"]
        self._kept.clear()

    def _compare(self, source: dict[str, float] | None, network: dict[str, float] | None) -> Measurement | None:
        if source is None or network is None:
            return None
        details = network | {f"source_{name}": value for name, value in source.items()}
        sign = -1.0 if self.settings.score == "loss" else 1.0
        return Measurement(sign * network[self.settings.score], sign * source[self.settings.score], details)

    def _means(self, network: Network) -> dict[str, float] | None:
        """Accuracy and loss over the seeds; None if a training failed, as the others would be a choice of the best."""
        runs = self._runs(network, self.settings.seeds)
        done = [run for run in runs if run is not None]
        if len(done) < len(runs):
            return None
        return {what: sum(float(run[what]) for run in done) / len(done) for what in ("accuracy", "loss")}

    def _runs(self, network: Network, count: int) -> list[TrainedFigures | None]:
        """What the first ``count`` trainings gave (fewer if one failed, which makes the rest idle)."""
        runs = self._results.setdefault(key(network), [])
        while len(runs) < count and None not in runs:
            runs.append(self._figures(network, len(runs)))
        return runs[:count]

    def _figures(self, network: Network, seed: int) -> TrainedFigures | None:
        """What a training gives; None if it fails."""
        trainer = self._train(network, seed)
        reward = trainer.accuracy(self.context.images.reward)
        failed = trainer.failed or not math.isfinite(reward.loss)
        selection = trainer.accuracy(self.context.images.selection).hits
        found = {"accuracy": reward.value, "loss": reward.loss, "selection": selection}
        return None if failed else found

    def _train(self, network: Network, seed: int) -> NetworkTrainer:
        """The network, trained to the end with a seed; trainings that were begun are resumed."""
        name, context = key(network), self.context
        own_seed = derive_seed(context.seed, "network", seed)
        trainer = NetworkTrainer(
            network, context.images, self.settings.schedule, context.compute, own_seed, module=self.module
        )
        unfinished, self._unfinished = self._unfinished, None
        if unfinished is not None and (unfinished["key"], unfinished["seed"]) == (name, seed):
            trainer.restore(unfinished["trainer"])
        self._running = (name, seed, trainer)
        train(trainer, partial(self._after_epoch, f"network {self.trainings + 1}"))
        self._running = None
        self.trainings += 1
        self._kept[name, seed] = trainer
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return trainer

    def _after_epoch(self, what: str, figures: dict[str, float]) -> None:
        self.report(f"{what}, {epoch_note(figures, self.settings.schedule.epochs)}")
        if self.after_epoch is not None:
            self.after_epoch(figures)


def _copy(results: dict[str, list[TrainedFigures | None]]) -> dict[str, list[TrainedFigures | None]]:
    return {name: [run and dict(run) for run in runs] for name, runs in results.items()}
