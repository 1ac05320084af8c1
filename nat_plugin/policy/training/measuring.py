"""What workers measure for a training: the networks of sources that an evaluator scores."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch

from nat_plugin.evaluators.base import Evaluator
from nat_plugin.evaluators.trial import Trial
from nat_plugin.execution.calls import ExecutorCall
from nat_plugin.plugins import plugins
from nat_plugin.policy.training.recipe import TrainingPlan, plan_training
from nat_plugin.policy.training.sources import SourceEvaluator
from nat_plugin.policy.training.tasks import TrainingTask
from nat_plugin.runs.worker_files import KeptWorkers
from nat_plugin.settings import State


@dataclass(frozen=True)
class SourceParts:
    """What a worker makes the evaluator of a source of: plain values, hashable."""

    recipe: str  # JSON
    source: str

    def evaluator(self) -> Evaluator:
        """In a worker, which makes it once."""
        return _made(self)


@lru_cache(maxsize=4)
def _made(parts: SourceParts) -> Evaluator:
    plan = plan_training(json.loads(parts.recipe), plugins())
    if plan.recipe.threads is not None:
        torch.set_num_threads(plan.recipe.threads)
    name = parts.source
    return SourceEvaluator.of(plan.recipe.sources[name], plan.parts[name], plan.recipe, plugins()).evaluator


def carry_out(parts: SourceParts, trial: Trial) -> State:
    """In a worker."""
    return parts.evaluator().carry_out(trial)


class SourceWorkers:
    """Workers that find out what the sources of a training measure."""

    def __init__(self, workers: KeptWorkers, plan: TrainingPlan) -> None:
        self._workers = workers
        self._recipe = json.dumps(plan.resolved())
        self._numbers = {name: number for number, name in enumerate(plan.recipe.sources)}

    def at_a_time(self, usual: int) -> int:
        """Networks of a source that are asked for together."""
        return usual if self._workers.here else max(usual, 4 * self._workers.executor.workers)

    def find_out(self, task: TrainingTask, numbers: Sequence[int]) -> None:
        """All that the pool of a task needs to know the scores of these networks. What was lost stays so in this
        training: its score is that of a network of which measuring failed."""
        measured = task.pool.measured
        if measured is None or self._workers.here:
            return
        parts, first = SourceParts(self._recipe, task.name), f"source{self._numbers[task.name]}"
        calls = (
            ExecutorCall(trial, carry_out, (parts, trial), "" if measured.cheap else f"{first}-{trial.name}")
            for trial in measured.trials(numbers)
        )
        for trial, found in self._workers.answers(lambda: next(calls, None)):
            if found.why is not None and not measured.cheap:
                self._workers.keep(f"{first}-{trial.name}", found)
            measured.take(trial, found.value)
