"""An evaluator whose measurements workers find out, and an engine that finds them out in this process, in any order."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from nat_plugin.evaluators.base import Assessment, Evaluator, EvaluatorContext, Split
from nat_plugin.evaluators.trial import Trial
from nat_plugin.extending import Executor, ExecutorSettings
from nat_plugin.hookspecs import hookimpl
from nat_plugin.ir import key
from nat_plugin.plugins import Plugins, installed
from nat_plugin.search.base import Measurement, Proposal
from nat_plugin.settings import Settings, State
from nat_plugin.training.seeds import derive_seed


class FoundSettings(Settings):
    broken: str = ""


class FoundEvaluator(Evaluator):
    """What a network is worth follows from its key. ``broken``: the first letter of keys that nobody can find out."""

    Settings = FoundSettings
    on_images = False
    cheap = False
    carried_out: ClassVar[list[str]] = []
    """Names of trials, in all runs of a test."""

    def __init__(self, context: EvaluatorContext, settings: Any) -> None:
        super().__init__(context, settings)
        self.known: dict[str, float | None] = {}

    def trials(self, proposals: Sequence[Proposal]) -> list[Trial]:
        wanted = dict.fromkeys(network for each in proposals for network in (each.source, each.network))
        return [Trial(network) for network in wanted if key(network) not in self.known]

    def carry_out(self, trial: Trial) -> State:
        name = key(trial.network)
        self.carried_out.append(name)
        if self.settings.broken and name.startswith(tuple(self.settings.broken)):  # type: ignore[attr-defined]
            raise MemoryError("no room")
        return {"worth": derive_seed(0, name) % 1000 / 1000}

    def take(self, trial: Trial, found: State | None) -> None:
        self.known[key(trial.network)] = None if found is None else found["worth"]

    def measure(self, proposals: Sequence[Proposal]) -> list[Measurement | None]:
        for trial in self.trials(proposals):
            self.take(trial, self.carry_out(trial))
        worth = [(self.known[key(each.network)], self.known[key(each.source)]) for each in proposals]
        return [None if after is None or before is None else Measurement(after, before) for after, before in worth]

    def assess(self, network: Any, split: Split) -> Assessment:
        del split
        return Assessment(self.known.get(key(network)) or 0.0, 100)

    def summary(self) -> dict[str, Any]:
        return {"name": "none", "shape": [3, 32, 32], "classes": 10, "splits": {}}

    def state(self) -> State:
        return {"known": dict(self.known)}

    def restore(self, state: State) -> None:
        self.known = dict(state["known"])


class ShuffledExecutor(Executor):
    """A thread that carries out one of the calls under way at random."""

    class Settings(ExecutorSettings):
        order: int = 0
        patience: float = 0.001
        """Seconds that it waits for as many calls as it may have."""

    settings: Any

    def __init__(self, settings: Any, folder: Path) -> None:
        super().__init__(settings, folder)
        self.thread = ThreadPoolExecutor(1)
        self.under_way: list[tuple[Future[Any], Callable[[], Any]]] = []
        self.random = random.Random(settings.order)

    @property
    def lost(self) -> tuple[type[BaseException], ...]:
        return ()

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.under_way.append((future, partial(function, *arguments)))
        self.thread.submit(self._carry_out_one)
        return future

    def _carry_out_one(self) -> None:
        last = time.monotonic() + self.settings.patience
        while len(self.under_way) < self.workers and time.monotonic() < last:
            time.sleep(0.0005)
        future, call = self.under_way.pop(self.random.randrange(len(self.under_way)))
        future.set_result(call())

    def close(self, at_once: bool) -> None:
        self.thread.shutdown(wait=True, cancel_futures=at_once)


class Theirs:
    @hookimpl
    def register_executors(self, register: Any) -> None:
        register("shuffled", ShuffledExecutor)

    @hookimpl
    def register_evaluators(self, register: Any) -> None:
        register("found", FoundEvaluator)


THEIRS = Plugins([*installed(), ("theirs", Theirs())])
