"""What the journal of a run says: every network that was measured, and how everything learned."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from nat_plugin.reporting.reading import LARGEST, Read, checked
from nat_plugin.runs.folder import read_journal


class Evaluation(Read):
    """A line of the search. Without a gain the network failed."""

    round: int = Field(0, ge=0, le=LARGEST)
    source: str
    network: str
    ops: tuple[str, ...] = Field(strict=False)
    params: int = Field(ge=0, le=LARGEST)
    macs: int = Field(ge=0, le=LARGEST)
    gain: float | None = None

    @field_validator("gain", mode="before")
    @classmethod
    def _not_finite_is_failed(cls, value: object) -> object:
        return None if isinstance(value, float) and not math.isfinite(value) else value


class Epoch(Read):
    """A line of the final training."""

    network: str
    seed: int = Field(ge=0, le=LARGEST)
    epoch: int = Field(ge=0, le=LARGEST)
    accuracy: float | None = None
    loss: float | None = None


class Learned(Read):
    """A line of a round, or of the warm-up: what was learned in it."""

    step: int = Field(ge=0, le=LARGEST)
    shared_weights: dict[str, float | None] = Field({})
    strategy: dict[str, float | None] = Field({})


@dataclass(frozen=True)
class JournalView:
    evaluations: tuple[Evaluation, ...]
    epochs: tuple[Epoch, ...]
    rounds: tuple[Learned, ...]
    warm_up: tuple[Learned, ...]


def journal(path: Path) -> JournalView:
    """NATError for a line that no run writes."""
    found: dict[str, list[Any]] = {"search": [], "final": [], "round": [], "warm-up": []}
    models: dict[str, type[Read]] = {"search": Evaluation, "final": Epoch, "round": Learned, "warm-up": Learned}
    for number, line in enumerate(read_journal(path), start=1):
        stage = line.get("stage")
        if isinstance(stage, str) and stage in models:
            found[stage].append(checked(models[stage], line, f"{path}, line {number}"))
    return JournalView(*(tuple(found[stage]) for stage in ("search", "final", "round", "warm-up")))


@dataclass
class MeasuredNetwork:
    """A network, over all the times that it was measured from one input."""

    first: Evaluation
    gains: list[float] = field(default_factory=list)
    times: int = 0

    @property
    def gain(self) -> float | None:
        return sum(self.gains) / len(self.gains) if self.gains else None


def measured(evaluations: Iterable[Evaluation]) -> list[MeasuredNetwork]:
    """In the order in which they came."""
    found: dict[tuple[str, str], MeasuredNetwork] = {}
    for each in evaluations:
        known = found.setdefault((each.source, each.network), MeasuredNetwork(each))
        known.times += 1
        if each.gain is not None:
            known.gains.append(each.gain)
    return list(found.values())


def commonest_source(evaluations: Iterable[Evaluation]) -> str | None:
    counts = Counter(each.source for each in evaluations)
    return counts.most_common(1)[0][0] if counts else None


def curves_of(lines: Iterable[Learned], part: str) -> Mapping[str, tuple[list[float], list[float]]]:
    """By the name of a figure: steps and values."""
    found: dict[str, tuple[list[float], list[float]]] = {}
    for line in lines:
        values: dict[str, float | None] = getattr(line, part)
        for name, value in values.items():
            if value is not None:
                steps, known = found.setdefault(name, ([], []))
                steps.append(line.step)
                known.append(value)
    return found
