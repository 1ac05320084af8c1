"""Choices around a choice: its neighbours, its leaner neighbours, and admitted choices that are near to it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import TypeAlias

import numpy as np

from nat_plugin.ir import Choice, Moves, Role

Weight: TypeAlias = tuple[int, int, int]
"""MACs, parameters, and how much there is besides: 2 for every slot with an operation, 1 for a skip."""
_LEAST = 1e-12
"""Of an excess that a float would round to nothing."""
STEPS_BACK = 32
"""So many choices are gone on from anew where a limit is not used."""
_BESIDES = {Role.OPERATION: 2, Role.SKIP: 1, Role.NULL: 0}


def changed(choice: Choice, slot: int, index: int) -> Choice:
    return (*choice[:slot], index, *choice[slot + 1 :])


def neighbours(moves: Moves, choice: Choice) -> list[Choice]:
    """All that differ in one slot, admitted or not."""
    return [
        changed(choice, slot, index)
        for slot, options in enumerate(moves.candidates)
        for index in range(len(options))
        if index != choice[slot]
    ]


def weight(moves: Moves, choice: Choice) -> Weight | None:
    """What a choice costs, limits or not; None if it is not connected."""
    total = moves.total(choice)
    return None if total is None else (total[1], total[0], sum(_BESIDES[op.role] for op in moves.ops(choice)))


def cheaper_neighbours(moves: Moves, choice: Choice) -> list[tuple[Weight, Choice]]:
    """The connected neighbours that have less in some respect and more in none, each with its weight. Where an op may
    stand in for another because it takes less of what is limited, those that take less of all limits together."""
    return list(_cheaper_of(moves, choice, weight(moves, choice), neighbours(moves, choice)))


def _cheaper_of(
    moves: Moves, choice: Choice, own: Weight | None, choices: Iterable[Choice]
) -> Iterator[tuple[Weight, Choice]]:
    """Those that are connected and leaner than a choice of that weight."""
    taken = _taken(moves, choice) if moves.by_measure else 0.0
    for each in choices:
        its = weight(moves, each)
        if its is None:
            continue
        if moves.by_measure:
            is_leaner = _taken(moves, each) < taken
        else:
            is_leaner = own is None or (its != own and all(a <= b for a, b in zip(its, own, strict=True)))
        if is_leaner:
            yield its, each


def _taken(moves: Moves, choice: Choice) -> float:
    """Of all limits, as shares added up."""
    network = moves.apply(choice)
    return sum(moves.limits.metrics[name](network) / max(1.0, float(limit)) for name, limit in moves.limits.values)


def violation(moves: Moves, choice: Choice, its: Weight) -> float:
    """By how much a connected choice of that weight breaks the limits, as shares of them added up; 0 if it fits."""
    if moves.column_limits is not None:
        macs, params, _ = its
        values: list[tuple[float, Fraction | int]] = [
            ((params, macs)[column], limit) for column, limit in moves.column_limits
        ]
    else:
        network = moves.apply(choice)
        values = [(moves.limits.metrics[name](network), limit) for name, limit in moves.limits.values]
    return sum(
        0.0 if value <= limit else max(value - float(limit), _LEAST) / max(1.0, limit) for value, limit in values
    )


def greedy_repair(moves: Moves, choice: Choice) -> Choice | None:
    """A connected choice brought within the limits by few leaner changes: the one that suffices and takes away least;
    where none suffices, the one that violates the limits least, and on from there. None if that leads nowhere."""
    current = weight(moves, choice)
    left = math.inf if current is None else violation(moves, choice, current)
    while left:
        around = [
            (violation(moves, candidate, cost), cost, candidate)
            for cost, candidate in cheaper_neighbours(moves, choice)
        ]
        enough = [(cost, candidate) for over, cost, candidate in around if not over]
        if enough:
            return max(enough)[1]
        over, _, choice = min(around, default=(math.inf, (), choice))
        if not over < left:
            return None
        left = over
    return choice


def filled(moves: Moves, choice: Choice, name: str, enough: float = math.inf) -> Choice:
    """An admitted choice that takes more of a limit, step by step: what was there in the input comes back first, of
    that what takes most, then any op that takes more, as long as all limits are kept. Where that ends below ``enough``,
    the same again from one step back, the smallest first."""
    metric = moves.limits.metrics[name]

    def taken(choices: Iterable[Choice]) -> list[tuple[float, Choice]]:
        return [(metric(moves.apply(each)), each) for each in choices if moves.admits(each)]

    def climbed(now: float, choice: Choice) -> tuple[float, Choice]:
        for only_back in (True, False):
            while True:
                back = (changed(choice, slot, 0) for slot, index in enumerate(choice) if index)
                most, best = max(taken(back if only_back else neighbours(moves, choice)), default=(now, choice))
                if not most > now:
                    break
                now, choice = most, best
        return now, choice

    now, choice = climbed(metric(moves.apply(choice)), choice)
    if now < enough:
        for start in sorted(taken(neighbours(moves, choice)), reverse=True)[:STEPS_BACK]:
            now, choice = max((now, choice), climbed(*start))
            if now >= enough:
                break
    return choice


def descent(moves: Moves, rng: np.random.Generator, start: Choice | None = None) -> Choice | None:
    """A random walk from a connected choice (left out: the input), one leaner change after the other, to the first that
    is within the limits: unlike a uniform choice it leaves no room that it does not have to. None if that leads
    nowhere."""
    choice = moves.identity if start is None else start
    its = weight(moves, choice)
    pairs = [(slot, index) for slot, options in enumerate(moves.candidates) for index in range(len(options))]
    while its is not None and violation(moves, choice, its):
        drawn = (pairs[number] for number in rng.permutation(len(pairs)))
        around = (changed(choice, slot, index) for slot, index in drawn if index != choice[slot])
        its, choice = next(_cheaper_of(moves, choice, its, around), (None, choice))
    return None if its is None else choice


def projection(moves: Moves, wanted: Choice) -> Choice:
    """Projection onto the budget: the choice itself if it is admitted; otherwise ``greedy_repair`` if it is connected;
    otherwise slot by slot the first open candidate of: the wanted one, the present one, the most expensive."""
    if moves.total(wanted) is not None:
        found = greedy_repair(moves, wanted)
        if found is not None:
            return found
    walk = moves.walk()
    for slot, index in enumerate(wanted):
        opened = walk.open()
        largest = max(np.flatnonzero(opened).tolist(), key=lambda each: tuple(moves.costs[slot, each, ::-1]))
        walk.take(next(each for each in (index, 0, largest) if opened[each]))
    return walk.choice
