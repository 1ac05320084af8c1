"""What every strategy is: ask for proposals, tell what was measured, state that can be saved and restored."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from nat_plugin.fingerprints import Outside
from nat_plugin.ir import Budget, Moves, Network, Rule
from nat_plugin.search.neighbourhood import descent
from nat_plugin.settings import AnySettings, State

if TYPE_CHECKING:
    import torch

    from nat_plugin.policy.input_proxies import ScoredOf


@dataclass(frozen=True)
class Proposal:
    """A transformation to be measured: input architecture (β) and what the strategy made of it (α)."""

    number: int
    source: Network
    network: Network


@dataclass(frozen=True)
class Measurement:
    """What an evaluator found, for β and α on the same images; higher scores are better."""

    score: float
    source_score: float
    details: dict[str, float] = field(default_factory=dict)

    @property
    def gain(self) -> float:
        """The reward of NAT, R(α|β)."""
        return self.score - self.source_score


def _cpu() -> torch.device:
    import torch  # here alone: settings are checked without it

    return torch.device("cpu")


@dataclass(frozen=True)
class Task:
    """What is to be transformed, and under which rules. ``inputs`` are the user's architectures."""

    inputs: tuple[Network, ...]
    rule: Rule
    budget: Budget
    seed: int = 0
    evaluations: int | None = None
    """How many are planned, if that is known: schedules of a strategy run over these."""
    device: torch.device = field(default_factory=_cpu)
    scoring: ScoredOf | None = None
    """How training-free proxies are computed of what becomes of a single input, where they can be."""


class Strategy(ABC):
    """Proposes transformations. Knows networks and numbers; never a format, a data set or a module.

    >>> import numpy as np
    >>> import nat_plugin as nat
    >>> from nat_plugin.extending import Proposal
    >>> from nat_plugin.ir import Budget, cost, find_rule
    >>> class Uniform(nat.Strategy):
    ...     def __init__(self, task, settings):
    ...         super().__init__(task, settings)
    ...         self.rng, self.told = np.random.default_rng(task.seed), []
    ...
    ...     def ask(self, count):
    ...         (source,) = self.task.inputs
    ...         moves = self.moves_of(source)
    ...         return [Proposal(at, source, moves.apply(moves.sample(self.rng))) for at in range(count)]
    ...
    ...     def tell(self, proposal, measurement):
    ...         self.told.append((measurement.gain, proposal.network))
    ...
    ...     def finalists(self, source, count):
    ...         return [network for _, network in sorted(self.told, key=lambda each: -each[0])[:count]]
    ...
    ...     def state(self):
    ...         return {"told": self.told}
    ...
    ...     def restore(self, state):
    ...         self.told = state["told"]
    >>> arch = nat.read("DARTS_V2")
    >>> task = Task((arch.network,), find_rule("nat"), Budget.parse({"macs": "0.9x"}))
    >>> [proposal] = Uniform(task, Uniform.Settings()).ask(1)
    >>> cost(proposal.network).macs <= 0.9 * arch.macs
    True
    """

    Settings: type[AnySettings] = AnySettings
    needs_sums: ClassVar[bool] = False
    """Whether it works on what every op costs: a metric that is measured lazily is then measured for all of them."""

    def __init__(self, task: Task, settings: AnySettings) -> None:
        self.task, self.settings = task, settings

    @property
    def rewires(self) -> bool:
        """Whether inputs may have other wirings than the user's."""
        return False

    @property
    def outside(self) -> tuple[Outside, ...]:
        """The files that were read of paths in the settings: a run goes on only while they are as they were."""
        return ()

    @property
    def notes(self) -> tuple[str, ...]:
        """Lines for the report of a run: what the strategy started from, and whether that was kept."""
        return ()

    @property
    def report(self) -> dict[str, float]:
        """Figures of what it learned last, for curves of a run."""
        return {}

    def draw_input(self, rng: np.random.Generator) -> Network:
        """An input as this strategy trains on; for the warm-up of shared weights."""
        return self.task.inputs[int(rng.integers(len(self.task.inputs)))]

    def random_move(self, source: Network, rng: np.random.Generator) -> Network:
        """A random legal transformation, for the warm-up of shared weights: uniform or, from an input that is over the
        budget, by ``descent``. Weights that saw these rank what a budget leaves far better."""
        moves = self.moves_of(source)
        found = None if moves.admits(moves.identity) else descent(moves, rng)
        return moves.apply(moves.sample(rng) if found is None else found)

    def moves_of(self, network: Network) -> Moves:
        """The legal moves of an input. Relative limits are relative to that input."""
        return Moves(network, self.task.rule, self.task.budget.resolve(network))

    @abstractmethod
    def ask(self, count: int) -> list[Proposal]:
        """The next ``count`` proposals (fewer if the strategy has no more), all legal and within the budget."""

    @abstractmethod
    def tell(self, proposal: Proposal, measurement: Measurement | None) -> None:
        """The measurement of a proposal, in any order; None if it failed."""

    @abstractmethod
    def finalists(self, source: Network, count: int) -> Sequence[Network]:
        """The best ``count`` distinct transformations of ``source`` by what is known now, best first."""

    def save(self, path: Path) -> bool:
        """Write what was learned as a policy file; whether there is anything to write."""
        del path
        return False

    @abstractmethod
    def state(self) -> State:
        """Everything needed to resume exactly."""

    @abstractmethod
    def restore(self, state: State) -> None: ...
