"""Tasks that a training learns from: networks, which of them are held out, and scores that are read on demand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from nat_plugin.evaluators.proxies.cache import Scored
from nat_plugin.evaluators.trial import Trial
from nat_plugin.fingerprints import Outside
from nat_plugin.ir import Network, canonical
from nat_plugin.policy.training.spaces import NONE, SlotSpace, World, split_place
from nat_plugin.settings import State

ScoresOf = Callable[[Sequence[int]], Sequence[float | None]]
"""Scores of networks by their numbers, higher is better; None where measuring failed."""


class Measured(Protocol):
    """How the networks of a pool are measured, where workers can do it. See ``Evaluator``."""

    @property
    def cheap(self) -> bool: ...

    def trials(self, numbers: Sequence[int]) -> list[Trial]: ...

    def take(self, trial: Trial, found: State | None) -> None: ...


@dataclass(frozen=True, eq=False)
class NetworkPool:
    """What a source gives: networks, how their scores are read, and a line on every part that was left out.

    ``known``: whether scores are looked up; otherwise every one is measured and takes time. ``what``: the task in a few
    words, ``space``: what its networks are; ``scored``: a network, by its number, as proxies of it are computed
    (None: of none they are); ``measured``: how workers can find out what ``scores`` needs (None: they cannot)."""

    networks: tuple[Network, ...]
    scores: ScoresOf
    known: bool
    what: str
    space: str
    left_out: tuple[str, ...] = ()
    outside: tuple[Outside, ...] = ()
    scored: Callable[[int], Scored] | None = None
    measured: Measured | None = None


@dataclass(frozen=True)
class HeldOutShare:
    """Networks that training never reads: a ``share``, by where a ``split`` of that number puts each."""

    share: float
    split: int

    def has(self, network: Network) -> bool:
        return split_place(network, self.split) < self.share


@dataclass(eq=False)
class TrainingTask:
    """``rows`` (N,) of ``spaces``, ``kinds`` (N,) of the networks of a pool; ``held`` (N,): those that training never
    reads. ``most``: so many scores are read at most; ``scores``: those that were, by the number of the network, None
    where measuring failed; ``tested``: the same of what the report alone reads."""

    name: str
    weight: float
    pool: NetworkPool
    spaces: Sequence[SlotSpace]
    rows: np.ndarray
    kinds: np.ndarray
    held: np.ndarray
    most: int
    scores: dict[int, float | None] = field(default_factory=dict)
    tested: dict[int, float | None] = field(default_factory=dict)

    @staticmethod
    def of(
        name: str, weight: float, pool: NetworkPool, world: World, held_out: HeldOutShare, most: int | None
    ) -> TrainingTask:
        spaces = [world.space(network) for network in pool.networks]
        rows = np.array([space.row(network) for space, network in zip(spaces, pool.networks, strict=True)], np.int64)
        kinds = np.array([space.kinds[row] for space, row in zip(spaces, rows, strict=True)], np.int64)
        held = np.array([held_out.has(network) for network in pool.networks], bool)
        free = int((~held & (kinds != NONE)).sum())
        return TrainingTask(name, weight, pool, spaces, rows, kinds, held, min(free, most or free))

    @property
    def unread(self) -> np.ndarray:
        """Numbers of networks that training may read and has not."""
        found = ~self.held & (self.kinds != NONE)
        found[list(self.scores)] = False
        return np.flatnonzero(found)

    @property
    def measured(self) -> tuple[np.ndarray, np.ndarray]:
        """Kinds and scores of all that was read and did not fail."""
        known = {number: score for number, score in self.scores.items() if score is not None}
        return self.kinds[list(known)], np.array(list(known.values()), float)

    @property
    def written(self) -> list[Network]:
        """The networks of ``measured`` in that order, each as it is written, without dead operations."""
        return [canonical(self.pool.networks[at]) for at, score in self.scores.items() if score is not None]

    def read(self, numbers: Sequence[int], for_report: bool = False) -> None:
        """Read the scores of these."""
        into = self.tested if for_report else self.scores
        into.update(zip(numbers, self.pool.scores(numbers), strict=True))
