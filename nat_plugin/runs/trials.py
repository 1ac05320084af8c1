"""What workers find out for an evaluator."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

from nat_plugin.evaluators.base import Evaluator
from nat_plugin.evaluators.trial import Trial
from nat_plugin.execution.calls import ExecutorCall
from nat_plugin.ir import key
from nat_plugin.runs.worker_files import Found, KeptWorkers
from nat_plugin.search.base import Proposal

CarryOut: TypeAlias = "tuple[Callable[..., Any], tuple[Any, ...]]"
"""A function that carries out a trial in a worker, and what it gets before the trial."""


class TrialWorkers:
    """Workers that an evaluator has what it measures found out by."""

    def __init__(
        self, workers: KeptWorkers, evaluator: Evaluator, carry_out: CarryOut, deterministic: bool | None
    ) -> None:
        """``deterministic``: whether a strategy is told in the order in which it asked; None: as costs less."""
        self._workers, self._evaluator, self._wanted = workers, evaluator, deterministic
        self._function, self._given = carry_out
        self.failed: dict[str, str] = {}
        """Why what failed did, by the name of its trial."""

    @property
    def in_order(self) -> bool:
        """Whether a strategy is told in the order in which it asked."""
        kind = type(self._evaluator)
        asks_nobody = kind.trials is Evaluator.trials or kind.train is not Evaluator.train
        return bool(self._wanted) or asks_nobody or (self._wanted is None and kind.cheap) or self._workers.here

    def find_out(self, proposals: Sequence[Proposal]) -> None:
        """All that the evaluator needs to measure these."""
        waiting = self._evaluator.trials(proposals)
        if not waiting or self._workers.here:
            return
        following = iter(waiting)
        for trial, found in self.answers(lambda: next(following, None)):
            self._evaluator.take(trial, found.value)

    def answers(self, following: Callable[[], Trial | None]) -> Iterator[tuple[Trial, Found]]:
        """What comes of trials of the evaluator, in the order of arrival, until there is none any more."""
        cheap = self._evaluator.cheap

        def call() -> ExecutorCall[Trial] | None:
            if (trial := following()) is None:
                return None
            return ExecutorCall(trial, self._function, (*self._given, trial), "" if cheap else trial.name)

        for trial, found in self._workers.answers(call):
            if found.why is not None:
                self.failed[trial.name] = found.why
                self._workers.keep(trial.name, found)
            yield trial, found

    def why(self, proposal: Proposal) -> str | None:
        """Why a measurement failed, where that is known."""
        firsts = tuple(f"{key(network)}-" for network in (proposal.source, proposal.network))
        return next((why for name, why in self.failed.items() if name.startswith(firsts)), None)
