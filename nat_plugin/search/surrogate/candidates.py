"""Networks to choose the next proposal of an input from: the best of those before, and some that are new.

Neighbours of the best known, further changes of these, and a few at random. What is over the limits is brought within
by ``descent``: so an op that comes back is paid for elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np
import torch

from nat_plugin.ir import Choice, Moves
from nat_plugin.search.neighbourhood import descent, neighbours

_UNIFORM = 4
"""Candidates that are drawn uniformly, of which one is new each time; slow under a tight budget."""
_DESCENTS = 16
"""The same where the input is over the budget, and uniform ones are far below it."""
KEPT, KEPT_SLOW = 0.25, 0.75
"""Share of the candidates that stay for the next proposal; and with a prior that is slow to compute."""
_BLOCK = 32


class Candidates:
    """Of one input, ``count`` at most."""

    def __init__(self, moves: Moves, rng: np.random.Generator, count: int, kept: float = KEPT) -> None:
        self._moves, self._rng, self._count, self._kept = moves, rng, count, kept
        self._sizes = np.array([len(options) for options in moves.candidates])
        self._over = not (moves.admits(moves.identity) or moves.total(moves.identity) is None)
        self.best: list[Choice] = []
        """What is kept, best first."""
        self._random: list[Choice] = []
        self._bases: list[Choice] = []

    def draw(self, bases: Sequence[Choice], also: Iterable[Choice], is_known: Callable[[Choice], bool]) -> list[Choice]:
        """``also`` and what was kept, then others until there are enough; without what is known."""
        found = {choice: None for choice in chain(also, self._at_random(), self.best) if not is_known(choice)}
        for choice in self._around(bases):
            if len(found) >= self._count:
                break
            if choice in found or is_known(choice):
                continue
            within = choice if self._moves.admits(choice) else descent(self._moves, self._rng, choice)
            if within is not None and not is_known(within):
                found[within] = None
        self._bases = list(bases)
        return list(found)

    def keep(self, ordered: Sequence[Choice]) -> None:
        """Those that were drawn, best first."""
        self.best = list(ordered[: int(self._kept * self._count)])

    def drop(self, choice: Choice) -> None:
        """It is not kept."""
        if choice in self.best:
            self.best.remove(choice)

    def _at_random(self) -> list[Choice]:
        wanted = _DESCENTS if self._over else _UNIFORM
        for _ in range(max(1, wanted - len(self._random))):
            drawn = descent(self._moves, self._rng) if self._over else self._moves.sample(self._rng)
            if drawn is not None:
                self._random.append(drawn)
        del self._random[:-wanted]
        return self._random

    def _around(self, bases: Sequence[Choice]) -> Iterator[Choice]:
        """Neighbours, of bases that are new first, then further changes. Over a budget most single changes that are
        within lie far below it: half are others."""
        mutants = self._mutants(bases)
        if self._over:
            near = iter(self._shuffled(bases))
            yield from chain(chain.from_iterable(zip(near, mutants, strict=False)), near, mutants)
        else:
            new = [base for base in bases if base not in self._bases]
            yield from chain(self._shuffled(new), self._shuffled(bases), mutants)

    def _shuffled(self, bases: Sequence[Choice]) -> list[Choice]:
        near = [choice for base in bases for choice in neighbours(self._moves, base)]
        return [near[number] for number in self._rng.permutation(len(near))]

    def _mutants(self, bases: Sequence[Choice]) -> Iterator[Choice]:
        """A random op, perhaps the same, in two slots of a base, or in more with falling probability."""
        table, slots = np.array(bases, np.int64), len(self._sizes)
        for _ in range(-(-self._count // _BLOCK)):
            chosen = table[self._rng.integers(len(table), size=_BLOCK)]
            many = 1 + self._rng.geometric(0.5, size=_BLOCK)
            place = self._rng.random((_BLOCK, slots)).argsort(axis=1).argsort(axis=1)
            drawn = (self._rng.random((_BLOCK, slots)) * self._sizes).astype(np.int64)
            yield from map(tuple, np.where(place < many[:, None], drawn, chosen).tolist())

    def state(self) -> dict[str, Any]:
        parts = {"best": self.best, "random": self._random, "bases": self._bases}
        return {
            name: torch.tensor(choices, dtype=torch.int16).reshape(len(choices), len(self._sizes))
            for name, choices in parts.items()
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.best, self._random, self._bases = (
            [tuple(choice) for choice in state[name].tolist()] for name in ("best", "random", "bases")
        )
