"""The workers of a run: what an executor finds out for its evaluator and its final stage."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from nat_plugin.evaluators.trial import Trial
from nat_plugin.plugins import Plugins, plugins
from nat_plugin.runs.recipe import plan as plan_of
from nat_plugin.runs.record import RunSource, of_results
from nat_plugin.runs.setup import Setup, set_up
from nat_plugin.runs.trials import TrialWorkers
from nat_plugin.runs.worker_files import KeptWorkers
from nat_plugin.settings import State


@dataclass(frozen=True)
class RunParts:
    """What a worker makes the parts of a run of: plain values, hashable."""

    recipe: str  # JSON
    origin: RunSource

    @staticmethod
    def of(setup: Setup) -> RunParts:
        return RunParts(json.dumps(of_results(setup.plan.resolved())), setup.origin)

    def setup(self) -> Setup:
        """In a worker, which makes them once."""
        return _made(self)


@lru_cache(maxsize=1)
def _made(parts: RunParts) -> Setup:
    return set_up(plan_of(json.loads(parts.recipe), plugins()), parts.origin, plugins())


def carry_out(parts: RunParts, trial: Trial) -> State:
    """In a worker."""
    return parts.setup().evaluator.carry_out(trial)


class RunWorkers(KeptWorkers):
    """Those of a run, which know its parts."""

    def __init__(self, setup: Setup, plugins: Plugins, folder: Path, run: str) -> None:
        super().__init__(setup.plan.recipe.executor_name, setup.plan.executor, folder, plugins, run)
        self.parts = RunParts.of(setup)
        deterministic = setup.plan.recipe.deterministic
        self._ranks = setup.compute.ranks
        self.trials = TrialWorkers(self, setup.evaluator, (carry_out, (self.parts,)), deterministic)

    def write_work(self) -> None:
        """With what each device of the run did."""
        self.tally.others = self._ranks.work()
        super().write_work()
