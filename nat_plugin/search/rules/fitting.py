"""Fitting a fixed rule to measurements of many networks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from nat_plugin.ir import Budget, Choice, Moves, Network, Op, Rule, key
from nat_plugin.search.neighbourhood import changed, projection
from nat_plugin.search.rules.op_map import OpMap

Entries: TypeAlias = dict[str, dict[str, str]]
"""By place and op before, the op after."""
_SWEEPS = 50
_LEAST = 1e-9
"""Growth of a sum of gains that is no rounding error."""


@dataclass(frozen=True)
class FittedMap:
    """A map, its mean gain over the inputs, and how many networks had to be measured, those that compute the same
    once."""

    op_map: OpMap
    gain: float
    evaluations: int


@dataclass
class _Input:
    moves: Moves
    source_score: float
    wanted: Choice
    gains: dict[Choice, float] = field(default_factory=dict)
    """Of what was wanted so far."""


def fit_rule(
    inputs: Sequence[Network],
    rule: Rule,
    score: Callable[[Network], float | None],
    budget: Budget | None = None,
    starts: int = 8,
    seed: int = 0,
) -> FittedMap:
    """A map with a mean gain over ``inputs`` that no change of a single entry makes better.

    Entry by entry (place and op before), in random order, the best op after is taken while the mean gain grows; from
    the map that changes nothing, and then anew from random maps, ``starts`` times in all. The best map is kept.
    ``score`` measures a network, higher is better; None, or nothing finite, if that fails: an input without a score is
    left out, and where what became of it has none, the input is taken to have been kept.
    """
    fit = _Fit(inputs, rule, score, budget or Budget())
    rng = np.random.default_rng(seed)
    climbs = [fit.climb(rng, begin_anew=start > 0) for start in range(starts)]
    gain, after = max(climbs, key=lambda climb: climb[0])
    return FittedMap(OpMap(after), gain, fit.evaluations)


class _Fit:
    def __init__(
        self, inputs: Sequence[Network], rule: Rule, score: Callable[[Network], float | None], budget: Budget
    ) -> None:
        self._score, self._scores = score, dict[str, float | None]()
        self._inputs: list[_Input] = []
        for network in inputs:
            found = self._measure(network)
            if found is not None:
                moves = Moves(network, rule, budget.resolve(network))
                self._inputs.append(_Input(moves, found, moves.identity))
        where: dict[tuple[str, Op], list[tuple[_Input, int]]] = {}
        for each in self._inputs:
            for slot, (edge, ops) in enumerate(zip(each.moves.slots, each.moves.candidates, strict=True)):
                where.setdefault((each.moves.network.edge(edge).key, ops[0]), []).append((each, slot))
        self._where = {entry: where[entry] for entry in sorted(where, key=str)}
        """Of every entry, the inputs and slots in which it says something."""
        self._options = {
            entry: sorted({op for each, slot in found for op in each.moves.candidates[slot]}, key=str)
            for entry, found in self._where.items()
        }

    @property
    def evaluations(self) -> int:
        return len(self._scores)

    def climb(self, rng: np.random.Generator, begin_anew: bool) -> tuple[float, Entries]:
        """Mean gain and map of a local optimum."""
        entries = list(self._where)
        for each in self._inputs:
            each.wanted = each.moves.identity
        after = {entry: entry[1] for entry in entries}
        if begin_anew:
            for entry, options in self._options.items():
                after[entry] = self._set(entry, options[rng.integers(len(options))])
        for _ in range(_SWEEPS):
            before = dict(after)
            for number in rng.permutation(len(entries)):
                after[entries[number]] = self._set(entries[number], self._best(entries[number], after[entries[number]]))
            if after == before:
                break
        return self._mean_gain(), _written(after)

    def _mean_gain(self) -> float:
        return sum(self._gain(each, each.wanted) for each in self._inputs) / max(1, len(self._inputs))

    def _best(self, entry: tuple[str, Op], now: Op) -> Op:
        """The op with the best gain, of equals the present one."""

        def total(op: Op) -> float:
            return sum(self._gain(each, _with(each, slot, op)) for each, slot in self._where[entry])

        best = max(self._options[entry], key=total)
        return best if total(best) > total(now) + _LEAST else now

    def _set(self, entry: tuple[str, Op], op: Op) -> Op:
        for each, slot in self._where[entry]:
            each.wanted = _with(each, slot, op)
        return op

    def _gain(self, each: _Input, wanted: Choice) -> float:
        known = each.gains.get(wanted)
        if known is None:
            found = self._measure(each.moves.apply(projection(each.moves, wanted)))
            known = each.gains[wanted] = 0.0 if found is None else found - each.source_score
        return known

    def _measure(self, network: Network) -> float | None:
        name = key(network)
        if name not in self._scores:
            found = self._score(network)
            self._scores[name] = found if found is not None and math.isfinite(found) else None
        return self._scores[name]


def _with(each: _Input, slot: int, op: Op) -> Choice:
    """Where an input cannot have the op, it keeps its own, as ``OpMap.choice`` does."""
    options = each.moves.candidates[slot]
    return changed(each.wanted, slot, options.index(op) if op in options else 0)


def _written(after: Mapping[tuple[str, Op], Op]) -> Entries:
    """What changes something."""
    found: Entries = {}
    for (place, before), op in after.items():
        if op != before:
            found.setdefault(place, {})[str(before)] = str(op)
    return found
