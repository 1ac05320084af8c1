"""What every strategy is: ask for proposals, tell what was measured, state that can be saved and restored."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from pydantic import BaseModel, ConfigDict

from nat_plugin.ir import Budget, Network, Rule

State: TypeAlias = dict[str, Any]
"""Nested dicts (with text keys) and lists of tensors and plain JSON values; what a checkpoint stores."""


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


class Settings(BaseModel):
    """Settings from a recipe: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class Task:
    """What is to be transformed, and under which rules. ``inputs`` are the user's architectures."""

    inputs: tuple[Network, ...]
    rule: Rule
    budget: Budget
    seed: int = 0
    device: torch.device = torch.device("cpu")  # noqa: RUF009 - a torch.device is immutable


class Strategy(ABC):
    """Proposes transformations. Knows networks and numbers; never a format, a data set or a module."""

    Settings: type[Settings] = Settings

    def __init__(self, task: Task, settings: Settings) -> None:
        self.task, self.settings = task, settings

    @abstractmethod
    def ask(self, count: int) -> list[Proposal]:
        """The next ``count`` proposals (fewer if the strategy has no more), all legal and within the budget."""

    @abstractmethod
    def tell(self, proposal: Proposal, measurement: Measurement | None) -> None:
        """What was measured of a proposal, in any order; None if that failed."""

    @abstractmethod
    def finalists(self, source: Network, count: int) -> Sequence[Network]:
        """The best ``count`` distinct transformations of ``source`` by what is known now, best first."""

    @abstractmethod
    def state(self) -> State:
        """Everything needed to go on exactly as if never interrupted."""

    @abstractmethod
    def restore(self, state: State) -> None: ...
