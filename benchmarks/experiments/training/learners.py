"""What learns from images in three places, a step at a time; and two processes in which all of it does.

``python -m benchmarks.experiments.training.learners FOLDER STEPS`` trains on two devices (processes of this CPU), by
itself and from the states that one process has left in the folder.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from nat_timm.training.evaluator import TimmEvaluator, TimmSettings

from nat_plugin.data import DataSet, DataSettings, SplitSettings, load
from nat_plugin.device import Compute
from nat_plugin.evaluators.base import EvaluatorContext
from nat_plugin.evaluators.supernet import SupernetEvaluator, SupernetSettings
from nat_plugin.ir import Moves, Network, NetworkSize, find_rule
from nat_plugin.parallel.ranks import Ranks
from nat_plugin.parallel.settings import FabricSettings
from nat_plugin.parallel.start import ranks_of
from nat_plugin.plugins import plugins
from nat_plugin.runs.state import load_state, save_state
from nat_plugin.settings import State
from nat_plugin.sources import find_adapter, find_source
from nat_plugin.training.schedule import Schedule
from nat_plugin.training.trainer import NetworkTrainer

SLOW = 0.01
"""Times the usual learning rate."""
BATCH = 64
"""Of all devices together. The data have as many images to train on, so that an epoch of the final stage is a step."""
MODEL = '{"architecture": "test_resnet"}'
"""The smallest of timm. With fresh weights, as these are, a MobileNetV2 doubles any difference at every step, so that
even one in the last bit of float64 is soon seen."""


_Rated = TypeVar("_Rated", SupernetSettings, TimmSettings, Schedule)


class Learner(Protocol):
    """Weights that learn."""

    def step(self) -> float:
        """One step; the loss that it found."""

    def state(self) -> State: ...

    def restore(self, state: State) -> None: ...


class SharedLearner:
    """An evaluator whose shared weights learn on one random network after the other."""

    def __init__(self, evaluator: SupernetEvaluator, seed: int) -> None:
        self._evaluator, self._rng = evaluator, np.random.default_rng(seed)
        context = evaluator.context
        self._moves = Moves(context.inputs[0], context.rule)

    def step(self) -> float:
        return self._evaluator.train([self._moves.apply(self._moves.sample(self._rng))])["loss"]

    def state(self) -> State:
        return {"evaluator": self._evaluator.state(), "rng": self._rng.bit_generator.state}

    def restore(self, state: State) -> None:
        self._evaluator.restore(state["evaluator"])
        self._rng.bit_generator.state = state["rng"]


class FinalLearner:
    """A training of the final stage."""

    def __init__(self, trainer: NetworkTrainer) -> None:
        self._trainer = trainer
        self.state, self.restore = trainer.state, trainer.restore

    def step(self) -> float:
        return self._trainer.epoch()["loss"]


def images() -> DataSet:
    splits = SplitSettings(weights=BATCH, reward=40, selection=40)
    return load(DataSettings(name="digits", limit=400, splits=splits), "cpu")


def _read(text: str, adapter: str, data: DataSet, **size: int) -> Network:
    source = find_source(text, adapter, plugins())
    return source.adapter.read(source.text, NetworkSize(input=data.shape, classes=data.classes, **size))


def at(rate: float, settings: _Rated) -> _Rated:
    """Settings with so many times their learning rate."""
    return settings.model_copy(update={"lr": rate * settings.lr})


def supernet(compute: Compute, data: DataSet, steps: int, rate: float) -> Learner:
    context = EvaluatorContext(
        (_read("DARTS_V2", "darts", data, channels=8, cells=3),), find_rule("nat"), data, compute
    )
    return SharedLearner(SupernetEvaluator(context, at(rate, SupernetSettings(batch=BATCH, steps=steps))), 0)


def adaptation(compute: Compute, data: DataSet, steps: int, rate: float) -> Learner:
    adapter = find_adapter("timm", plugins())
    context = EvaluatorContext((_read(MODEL, "timm", data),), find_rule("nat"), data, compute, module=adapter.module)
    return SharedLearner(TimmEvaluator(context, at(rate, TimmSettings(batch=BATCH, steps=steps))), 0)


def final(compute: Compute, data: DataSet, steps: int, rate: float) -> Learner:
    network = _read("DARTS_V2", "darts", data, channels=8, cells=3)
    schedule = at(rate, Schedule(epochs=steps, batch=BATCH, cutout=3))
    return FinalLearner(NetworkTrainer(network, data, schedule, compute))


SUBJECTS: dict[str, Callable[[Compute, DataSet, int, float], Learner]] = {
    "supernet": supernet,
    "timm adaptation": adaptation,
    "final training": final,
}


@dataclass(frozen=True)
class Curves:
    """Losses of each subject by step, of these ranks; and the files with its state halfway, where there is a folder."""

    ranks: Ranks
    steps: int
    folder: Path | None
    dtype: torch.dtype = torch.float64
    noise: float = 0.0
    """Standard deviation of what is added to each weight at the beginning, as a share of the weight."""
    rate: float = 1.0
    """How many times the usual learning rate."""

    def in_one_go(self, name: str) -> list[float]:
        learner, losses = self._made(name), list[float]()
        for step in range(self.steps):
            if step == self.steps // 2 and self.ranks.number == 0 and self.folder is not None:
                save_state(self._path(name, self.ranks.count), learner.state())
            losses.append(learner.step())
        return losses

    def resumed(self, name: str, devices: int) -> list[float]:
        """The second half, from the state that so many devices have left halfway."""
        learner = self._made(name)
        learner.restore(load_state(self._path(name, devices)))
        return [learner.step() for _ in range(self.steps - self.steps // 2)]

    def _made(self, name: str) -> Learner:
        compute = Compute(torch.device("cpu"), ranks=self.ranks, dtype=self.dtype)
        learner = SUBJECTS[name](compute, images(), self.steps, self.rate)
        if self.noise:
            state, random = learner.state(), torch.Generator().manual_seed(0)
            _disturb(state, self.noise, random)
            learner.restore(state)
        return learner

    def _path(self, name: str, devices: int) -> Path:
        assert self.folder is not None
        return self.folder / f"{name.replace(' ', '-')}-{devices}.safetensors"


def _disturb(state: Any, noise: float, random: torch.Generator) -> None:
    """The weights within a state."""
    for name, each in state.items():
        if isinstance(each, dict):
            _disturb(each, noise, random)
        elif name.endswith("weight") and isinstance(each, torch.Tensor):
            each.mul_(1 + noise * torch.randn(each.shape, generator=random))


def main(folder: Path, steps: int) -> None:
    torch.set_num_threads(1)
    with ranks_of(FabricSettings(devices=2), "cpu") as ranks:
        curves = Curves(ranks, steps, folder)
        single, slow = (Curves(ranks, steps, None, torch.float32, rate=rate) for rate in (1.0, SLOW))
        found = {
            name: {
                "in one go": curves.in_one_go(name),
                "resumed": curves.resumed(name, 1),
                "float32": single.in_one_go(name),
                "float32, slow": slow.in_one_go(name),
            }
            for name in SUBJECTS
        }
        if ranks.number:
            ranks.follow({})
        else:
            (folder / "two.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
