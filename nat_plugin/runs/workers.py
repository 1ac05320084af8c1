"""The workers of a run: what an executor finds out for its evaluator and its final stage, kept until the run ends."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from nat_plugin.errors import NATError
from nat_plugin.evaluators.base import Evaluator
from nat_plugin.evaluators.trial import Trial
from nat_plugin.execution.calls import CallAnswer, ExecutorCall, Following, answers
from nat_plugin.execution.workers import Workers
from nat_plugin.files import file_errors, write_text
from nat_plugin.ir import key
from nat_plugin.plugins import Plugins, plugins
from nat_plugin.runs.recipe import plan as plan_of
from nat_plugin.runs.record import RunSource, of_results
from nat_plugin.runs.setup import Setup, set_up
from nat_plugin.runs.state import load_state, save_state
from nat_plugin.search.base import Proposal, State
from nat_plugin.sources import read_text

FOLDER, WORK = "trials", "workers.json"
_Subject = TypeVar("_Subject")


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


@dataclass(frozen=True)
class Found:
    """What came of a trial; None where no worker could find it out, and ``why``."""

    value: State | None
    why: str | None = None


class RunWorkers(Workers):
    """What was dear to find out is a file in the folder of the run until that ends: it is not done again after a
    kill."""

    def __init__(self, setup: Setup, plugins: Plugins, folder: Path, run: str) -> None:
        super().__init__(setup.plan.recipe.executor_name, setup.plan.executor, folder, plugins)
        self._setup, self._run = setup, run
        self.parts = RunParts.of(setup)
        self.failed: dict[str, str] = {}
        """Why what failed did, by the name of its trial."""
        self.report: Callable[[str], None] = lambda _: None
        """Hears of what workers do."""
        self._work: dict[str, tuple[int, float]] = {}

    @property
    def in_order(self) -> bool:
        """Whether a strategy is told in the order in which it asked."""
        evaluator, wanted = self._setup.evaluator, self._setup.plan.recipe.deterministic
        kind = type(evaluator)
        asks_nobody = kind.trials is Evaluator.trials or kind.train is not Evaluator.train
        return bool(wanted) or asks_nobody or (wanted is None and kind.cheap) or self.here

    def find_out(self, proposals: Sequence[Proposal]) -> None:
        """All that the evaluator needs to measure these."""
        evaluator = self._setup.evaluator
        waiting = evaluator.trials(proposals)
        if not waiting or self.here:
            return
        following = iter(waiting)
        for trial, found in self.trials(lambda: next(following, None)):
            evaluator.take(trial, found.value)

    def trials(self, following: Callable[[], Trial | None]) -> Iterator[tuple[Trial, Found]]:
        """What comes of trials of the evaluator, in the order of arrival, until there is none any more."""
        cheap = self._setup.evaluator.cheap

        def call() -> ExecutorCall[Trial] | None:
            if (trial := following()) is None:
                return None
            return ExecutorCall(trial, carry_out, (self.parts, trial), "" if cheap else trial.name)

        for trial, found in self.answers(call):
            if found.why is not None:
                self.failed[trial.name] = found.why
                self._keep(trial.name, found)
            yield trial, found

    def answers(self, following: Following[_Subject]) -> Iterator[tuple[_Subject, Found]]:
        """What comes of calls, in the order of arrival; what is kept of one that has a name comes first. What was lost
        is not kept."""
        known: list[tuple[_Subject, Found]] = []

        def call() -> ExecutorCall[ExecutorCall[_Subject]] | None:
            while (each := following()) is not None:
                found = self._kept(each.name) if each.name else None
                if found is None:
                    return replace(each, subject=each)  # type: ignore[arg-type, return-value]
                known.append((each.subject, found))
            return None

        for answer in answers(self.executor, call):
            yield from known
            known.clear()
            each, found = answer.subject, Found(answer.value, answer.lost)
            self._count(answer)
            if each.name and answer.lost is None:
                self._keep(each.name, found)
            yield each.subject, found
        yield from known

    def _count(self, answer: CallAnswer[Any]) -> None:
        if answer.worker:
            tasks, seconds = self._work.get(answer.worker, (0, 0.0))
            self._work[answer.worker] = tasks + 1, seconds + answer.seconds
        done = sum(tasks for tasks, _ in self._work.values())
        lost = f", {len(self.failed):,} lost" if self.failed else ""
        self.report(f"{len(self._work):,} workers: {done:,} tasks done{lost}")

    def write_work(self) -> None:
        """What each worker did, also for a process of this run that was killed."""
        if not self._work:
            return
        path = self._folder / WORK
        with suppress(NATError, ValueError, TypeError, KeyError, AttributeError):  # it is of no result
            for worker, before in json.loads(read_text(path)).items():
                tasks, seconds = self._work.get(worker, (0, 0.0))
                self._work[worker] = tasks + int(before["tasks"]), seconds + float(before["seconds"])
        rows = {name: {"tasks": tasks, "seconds": round(took, 1)} for name, (tasks, took) in self._work.items()}
        write_text(path, json.dumps(rows, indent=1))

    def _kept(self, name: str) -> Found | None:
        """What was found out by a process of this run that ended before the run did."""
        path = self._folder / FOLDER / f"{name}.safetensors"
        if not path.is_file():
            return None
        try:
            state = load_state(path)
            if state["run"] != self._run:
                raise NATError(f"{path}: this is of another run")
            found = Found(state["value"], state["why"])
        except (NATError, KeyError) as error:
            raise NATError(f"{path}: damaged or changed; remove it, and its training is done again") from error
        return found

    def _keep(self, name: str, found: Found) -> None:
        path = self._folder / FOLDER / f"{name}.safetensors"
        with file_errors(path):
            path.parent.mkdir(exist_ok=True)
        save_state(path, {"run": self._run, "value": found.value, "why": found.why})

    def why(self, proposal: Proposal) -> str | None:
        """Why a measurement failed, where that is known."""
        firsts = tuple(f"{key(network)}-" for network in (proposal.source, proposal.network))
        return next((why for name, why in self.failed.items() if name.startswith(firsts)), None)

    def forget(self) -> None:
        """The run has ended."""
        self.write_work()
        shutil.rmtree(self._folder / FOLDER, ignore_errors=True)
