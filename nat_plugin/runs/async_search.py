"""A search whose strategy is told what workers find out as soon as it is there."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from nat_plugin.evaluators.base import Evaluator
from nat_plugin.evaluators.trial import Trial
from nat_plugin.ir import from_json, to_json
from nat_plugin.runs.trials import TrialWorkers
from nat_plugin.search.base import Measurement, Proposal, Strategy
from nat_plugin.settings import State

Tell: TypeAlias = "Callable[[Proposal, Measurement | None, int], None]"
"""Takes what was measured of a proposal, and how many had been asked for until then."""


class Arrivals:
    """As many proposals under way as keep all workers busy.

    How many were asked for before each was told is all that the order says; so a run that was killed asks and tells in
    the same order again (``replay``), and goes on where that ends.
    """

    def __init__(self, strategy: Strategy, evaluator: Evaluator, workers: TrialWorkers, most: int, tell: Tell) -> None:
        """``most``: proposals in all. ``tell`` has the strategy told too."""
        self._strategy, self._evaluator, self._workers = strategy, evaluator, workers
        self._most, self._tell = most, tell
        self.asked = 0
        self._open: dict[int, Proposal] = {}  # asked and not told, by number
        self._waiting: deque[Trial] = deque()
        self._begun: set[str] = set()
        self._order: deque[tuple[int, int]] = deque()  # of a replay: the next to tell, and how many are asked by then
        self._told = self._count = 0
        self._flow: Iterator[None] | None = None

    def replay(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Lines of the journal after the checkpoint that was restored."""
        pairs = ((line.get("number"), line["asked"]) for line in lines if "asked" in line)
        self._order = deque((n, asked) for n, asked in pairs if isinstance(n, int) and isinstance(asked, int))

    def advance(self, count: int) -> int:
        """Until so many more were told; how many they were, fewer where nothing is left."""
        self._told, self._count = 0, count
        if self._flow is None:
            self._flow = self._run()
        while self._told < count and next(self._flow, self) is not self:
            pass
        return self._told

    def _run(self) -> Iterator[None]:
        """Stops where as many were told as are wanted, and for good where there is nothing left to ask for."""
        while True:
            self._enqueue(self._open.values())
            yield from self._tell_all()
            is_idle = True
            for trial, found in self._workers.answers(self._following):
                self._evaluator.take(trial, found.value)
                is_idle = False
                yield from self._tell_all()
            yield from self._tell_all()
            if is_idle and not self._ask():
                if not self._order:
                    return
                self._order.clear()  # it was not written by this search: it has no such proposal

    def _tell_all(self) -> Iterator[None]:
        """What is known, in as many parts as it takes."""
        self._settle()
        while self._told >= self._count:
            yield
            self._settle()

    def _following(self) -> Trial | None:
        while not self._waiting and self._told < self._count and self._ask():
            pass
        return self._waiting.popleft() if self._waiting else None

    def _ask(self) -> bool:
        """For one more proposal; whether there was one. What needs no worker is told at once."""
        most = min(self._most, self._order[0][1]) if self._order else self._most
        found = self._strategy.ask(1) if self.asked < most else []
        self.asked += len(found)
        self._open |= {each.number: each for each in found}
        self._enqueue(found)
        self._settle()
        return bool(found)

    def _enqueue(self, proposals: Iterable[Proposal]) -> None:
        for trial in self._evaluator.trials(list(proposals)):
            if trial.name not in self._begun:
                self._begun.add(trial.name)
                self._waiting.append(trial)

    def _settle(self) -> None:
        """Tell what is known, as many as are wanted; in a replay, as far as its order goes."""
        while self._told < self._count and (proposal := self._next()) is not None:
            del self._open[proposal.number]
            if self._order:
                self._order.popleft()
            (found,) = self._evaluator.measure([proposal])
            self._tell(proposal, found, self.asked)
            self._told += 1

    def _next(self) -> Proposal | None:
        if self._order:
            number, asked = self._order[0]
            ready = [self._open[number]] if number in self._open and self.asked == asked else []
        else:
            ready = list(self._open.values())
        return next((each for each in ready if not self._evaluator.trials([each])), None)

    def state(self) -> State:
        under_way = [
            [each.number, to_json(each.source, None), to_json(each.network, None)] for each in self._open.values()
        ]
        return {"asked": self.asked, "open": under_way}

    def restore(self, state: State) -> None:
        self.asked = int(state["asked"])
        self._open = {
            number: Proposal(number, from_json(source), from_json(network)) for number, source, network in state["open"]
        }
        self._begun, self._flow = set(), None
        self._waiting.clear()
