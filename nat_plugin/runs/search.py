"""The search: ask, let the shared weights learn, measure, tell. One checkpointed round after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from nat_plugin.evaluators.base import Evaluator
from nat_plugin.ir import Network, cost, key
from nat_plugin.runs.async_search import Arrivals
from nat_plugin.runs.folder import finite
from nat_plugin.runs.recipe import SearchSettings
from nat_plugin.runs.trials import TrialWorkers
from nat_plugin.search.base import Measurement, Proposal, Strategy
from nat_plugin.settings import State

WARMUP_CHUNK = 50
INPUT_EVERY = 8
"""One step of the warm-up in so many is on an input. Shared weights that see an input at every other step fit it far
better than what it may become, and rank those badly."""


class JournalLines(Protocol):
    """Takes the lines of a journal."""

    def add(self, record: dict[str, Any]) -> None: ...


@dataclass
class Search:
    """Where a search stands. ``advance`` does one chunk of warm-up or one round. Every measurement is a line of the
    journal, where there is one. ``workers``: who finds out what the evaluator can leave to others; left out: nobody."""

    strategy: Strategy
    evaluator: Evaluator
    settings: SearchSettings
    seed: int
    journal: JournalLines | None = None
    workers: TrialWorkers | None = None
    warmed: int = 0
    round: int = 0
    keys: set[str] = field(default_factory=set)
    lost: int = 0
    """Measurements that failed with their workers."""
    rng: np.random.Generator = field(init=False)
    arrivals: Arrivals | None = field(init=False, default=None)
    """Where the strategy is told in the order of arrival."""
    _gains: list[float] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng([self.seed, 1])
        if self.workers is not None and not self.workers.in_order:
            most = self.settings.rounds * self.settings.proposals
            self.arrivals = Arrivals(self.strategy, self.evaluator, self.workers, most, self._tell)

    @property
    def finished(self) -> bool:
        return not self.warming and self.round >= self.settings.rounds

    @property
    def warming(self) -> bool:
        return self.warmed < self.settings.warmup

    def advance(self) -> dict[str, float]:
        """One step of the search; figures to report."""
        if self.warming:
            return self._warm()
        return self._round() if self.arrivals is None else self._arrive(self.arrivals)

    def _warm(self) -> dict[str, float]:
        """Steps on shared weights: mostly on random legal moves, now and then on an input itself."""
        strategy = self.strategy
        count = min(WARMUP_CHUNK, self.settings.warmup - self.warmed)
        sources = [strategy.draw_input(self.rng) for _ in range(count)]
        networks = [
            strategy.random_move(source, self.rng) if number % INPUT_EVERY else source
            for number, source in enumerate(sources, start=self.warmed)
        ]
        self.warmed += count
        report = self.evaluator.train(networks)
        self._write_learned("warm-up", self.warmed, report, {})
        return report

    def _round(self) -> dict[str, float]:
        settings = self.settings
        proposals = self.strategy.ask(settings.proposals)
        if not proposals:
            self.round = settings.rounds
            return {}
        learned = self.evaluator.train(self._curriculum(proposals, settings.steps))
        if self.workers is not None:
            self.workers.find_out(proposals)
        measurements = self.evaluator.measure(proposals)
        for proposal, measurement in zip(proposals, measurements, strict=True):
            self._tell(proposal, measurement)
        return self._end_round(learned)

    def _arrive(self, arrivals: Arrivals) -> dict[str, float]:
        """A round of as many as have arrived first."""
        if arrivals.advance(self.settings.proposals) < self.settings.proposals:
            self.round = self.settings.rounds - 1
        return self._end_round({})

    def _tell(self, proposal: Proposal, measurement: Measurement | None, asked: int | None = None) -> None:
        """``asked``: how many proposals had been asked for, where that does not follow from the round."""
        self.strategy.tell(proposal, measurement)
        why = None if self.workers is None or measurement is not None else self.workers.why(proposal)
        self.lost += why is not None
        if self.journal is not None:
            order = {} if asked is None else {"asked": asked}
            self.journal.add(self._record(proposal, measurement, why) | order)
        self.keys |= {key(proposal.source), key(proposal.network)}
        if measurement is not None:
            self._gains.append(measurement.gain)

    def _end_round(self, learned: Mapping[str, float]) -> dict[str, float]:
        self.round += 1
        self._write_learned("round", self.round, learned, self.strategy.report)
        report, gains = dict(learned), self._gains
        if gains:
            report |= {"gain/mean": float(np.mean(gains)), "gain/best": max(gains)}
        self._gains = []
        return report | {"evaluated": len(self.keys)}

    def _write_learned(
        self, stage: str, step: int, shared_weights: Mapping[str, float], strategy: Mapping[str, float]
    ) -> None:
        """A line of the journal, where anything was learned."""
        parts = {"shared_weights": shared_weights, "strategy": strategy}
        known = {name: finite(figures) for name, figures in parts.items() if figures}
        if self.journal is not None and known:
            self.journal.add({"stage": stage, "step": step, **known})

    def _curriculum(self, proposals: list[Proposal], steps: int) -> list[Network]:
        """What to train on before measuring: every distinct input and proposal alike, in random order."""
        networks = list(dict.fromkeys(network for each in proposals for network in (each.source, each.network)))
        order = [
            int(number) for _ in range(-(-steps // len(networks))) for number in self.rng.permutation(len(networks))
        ]
        return [networks[number] for number in order[:steps]]

    def _record(self, proposal: Proposal, measurement: Measurement | None, why: str | None) -> dict[str, Any]:
        total = cost(proposal.network)
        record: dict[str, Any] = {
            "stage": "search",
            "round": self.round,
            "number": proposal.number,
            "source": key(proposal.source),
            "network": key(proposal.network),
            "ops": [str(op) for op in proposal.network.ops],
            "params": total.params,
            "macs": total.macs,
        }
        if measurement is None:
            return record | {"failed": True} | ({} if why is None else {"why": why})
        figures = {"score": measurement.score, "source_score": measurement.source_score, "gain": measurement.gain}
        return record | figures | measurement.details

    def replay(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """What the journal says of a process that was killed after the checkpoint that was restored."""
        if self.arrivals is not None:
            self.arrivals.replay(lines)

    def state(self) -> State:
        state = {
            "warmed": self.warmed,
            "round": self.round,
            "keys": sorted(self.keys),
            "rng": self.rng.bit_generator.state,
            "strategy": self.strategy.state(),
            "evaluator": self.evaluator.state(),
        }
        if self.arrivals is not None:
            state["arrivals"] = self.arrivals.state()
        return state | ({"lost": self.lost} if self.lost else {})

    def restore(self, state: State) -> None:
        self.warmed, self.round, self.keys = state["warmed"], state["round"], set(state["keys"])
        self.lost = state.get("lost", 0)
        self.rng.bit_generator.state = state["rng"]
        self.strategy.restore(state["strategy"])
        self.evaluator.restore(state["evaluator"])
        if self.arrivals is not None:
            self.arrivals.restore(state["arrivals"])
