"""Real experiments of NNI, small: a cell space that is scored without training, and one that is trained on digits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import nni
import torch
from nni.nas.evaluator import Evaluator, FunctionalEvaluator
from nni.nas.execution import ExecutionEngine, SequentialExecutionEngine
from nni.nas.execution.event import FinalMetricEvent, TrainingEndEvent
from nni.nas.experiment import NasExperiment, NasExperimentConfig
from nni.nas.hub.pytorch import DARTS, NasBench201
from nni.nas.space import ExecutableModelSpace, ModelStatus, SimplifiedModelSpace
from sklearn.datasets import load_digits

ENDS = ("0_1", "0_2", "1_2", "0_3", "1_3", "2_3")
OPS = ("none", "skip_connect", "conv_1x1", "conv_3x3", "avg_pool_3x3")
DEAR = {f"cell/{end}": "conv_3x3" for end in ENDS}
"""The dearest cell: everything can be reached from it."""
DIGITS = (3, 8, 8)
_WORTH = {"none": 0.0, "skip_connect": 0.3, "conv_1x1": 0.5, "conv_3x3": 0.6, "avg_pool_3x3": 0.2}


def worth(sample: Mapping[str, Any]) -> float:
    """A score that is known at once, different for most cells."""
    return sum((number + 1) * _WORTH[sample[f"cell/{end}"]] for number, end in enumerate(ENDS)) / 21


class Scored(Evaluator):
    """Reports what a function says of the sample, without building the model. The function may raise."""

    def __init__(self, score: Callable[[Mapping[str, Any]], Any] = worth) -> None:
        self.score = score

    def _execute(self, model: Any) -> None:
        found = self.score(model.sample)
        if found is not None:
            nni.report_final_result(found)


def narrow() -> NasBench201:
    return NasBench201(stem_out_channels=4, num_modules_per_stack=1)


def cells(evaluator: Evaluator | None = None) -> SimplifiedModelSpace:
    """The NasBench201 space of the hub, narrow, ready to be explored."""
    return SimplifiedModelSpace.from_model(narrow(), evaluator or Scored())


def explore(strategy: Any, trials: int | None = 12, evaluator: Evaluator | None = None, **engine: Any) -> list[Any]:
    """Run a strategy on the cells; the models that were submitted, in order."""
    strategy(cells(evaluator), SequentialExecutionEngine(trials, continue_on_failure=True, **engine))
    return list(strategy.list_models(sort=False))


class ThreadedEngine(ExecutionEngine):
    """Runs so many models at once, each in a thread of its own, and ends the later ones first where it can."""

    def __init__(self, trials: int, workers: int, score: Callable[[Mapping[str, Any]], float]) -> None:
        super().__init__()
        self.trials, self.workers, self.score = trials, workers, score
        self.models: list[ExecutableModelSpace] = []
        self.ended: list[int] = []
        self._lock, self._dispatching = threading.Lock(), threading.Lock()
        self._running: set[int] = set()
        self._batch: list[int] = []  # that are to end together

    def submit_models(self, *models: ExecutableModelSpace) -> None:
        for model in models:
            with self._lock:
                number = len(self.models)
                self.models.append(model)
                self._running.add(number)
                self._batch.append(number)
                full = len(self._running) == self.workers or len(self.models) == self.trials
                batch, self._batch = (self._batch, []) if full else ([], self._batch)
            model.status = ModelStatus.Training
            if batch:
                threading.Thread(target=self._end, args=(batch[::-1],)).start()

    def _end(self, batch: list[int]) -> None:
        for number in batch:
            model = self.models[number]
            with self._dispatching:
                self.dispatch_model_event(FinalMetricEvent(model, self.score(model.sample)))
                self.dispatch_model_event(TrainingEndEvent(model, ModelStatus.Trained))
            with self._lock:
                self.ended.append(number)
                self._running.remove(number)

    def list_models(self, status: ModelStatus | None = None) -> Iterable[ExecutableModelSpace]:
        return [model for model in self.models if status in (None, model.status)]

    def idle_worker_available(self) -> bool:
        with self._lock:
            return len(self._running) < self.workers

    def budget_available(self) -> bool:
        return len(self.models) < self.trials

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None: ...


def train_on_digits(model: torch.nn.Module) -> None:
    """One pass over a small part of the digits; always the same result for the same architecture."""
    torch.manual_seed(0)
    for module in model.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    x, y = load_digits(return_X_y=True)
    images = torch.tensor(x, dtype=torch.float32).view(-1, 1, 8, 8).expand(-1, 3, 8, 8) / 16
    labels = torch.tensor(y)
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    for batch in torch.randperm(192).split(32):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(images[batch]), labels[batch]).backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        hits = model(images[1500:]).argmax(1) == labels[1500:]
    nni.report_final_result(hits.float().mean().item())


def darts() -> DARTS:
    return DARTS(width=4, num_cells=3, dataset="cifar")


def experiment(folder: Path, strategy: Any, trials: int, name: str | None = None, **more: Any) -> NasExperiment:
    """An experiment on the ``sequential`` engine that writes into ``folder``."""
    config = NasExperimentConfig("sequential", "simplified", "local", max_trial_number=trials)
    config.experiment_working_directory = str(folder)
    space, evaluator = more.get("space") or darts(), more.get("evaluator") or FunctionalEvaluator(train_on_digits)
    return NasExperiment(space, evaluator, strategy, config, id=name)
