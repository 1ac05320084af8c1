"""A walk over the slots of a network that can only end in choices that are connected and within the limits."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from nat_plugin.ir.completion import CellSpace, Pair, Partial

if TYPE_CHECKING:
    from nat_plugin.ir.moves import Moves

Choice: TypeAlias = tuple[int, ...]
"""One candidate number per slot."""


class CompletionSearch:
    """The cheapest completions of all cells under some weights. ``later[i]``: the least weighted cost of the parts
    after part ``i``."""

    def __init__(self, moves: Moves, weights: np.ndarray) -> None:
        self._moves, self.weights = moves, weights
        self.spaces = [CellSpace(moves.cells[name], weights) for name, _, _ in moves.parts]
        least = np.array([space.least() for space in self.spaces]).reshape(-1, len(weights))
        self.least = weights @ np.array(moves.base, float) + least.sum(axis=0)
        self.later = np.concatenate([least[::-1].cumsum(axis=0)[::-1][1:], np.zeros((1, len(weights)))])

    @cached_property
    def _choices(self) -> list[list[Choice]]:
        """By part: as in the input, then the cheapest under every weight."""
        parts = zip(self.spaces, self._moves.parts, strict=True)
        count = len(self.weights)
        return [[self._moves.identity[a:b], *map(space.cheapest, range(count))] for space, (_, a, b) in parts]

    @cached_property
    def cheapest(self) -> list[Choice]:
        """The cheapest choice of all under every weight."""
        if not np.isfinite(self.least).all():
            return []
        columns = zip(*self._choices, strict=True)
        return list(dict.fromkeys(tuple(chain.from_iterable(column)) for column in list(columns)[1:]))

    @cached_property
    def rests(self) -> list[list[tuple[Choice, Pair]]]:
        """By part: choices for all parts after it, with what they cost."""
        found: list[dict[Choice, Pair]] = [{(): (0, 0)}]
        for (name, _, _), column in reversed(list(zip(self._moves.parts, self._choices, strict=True))[1:]):
            mine = {choice: self._moves.cells[name].total(choice) for choice in column}
            joined: dict[Choice, Pair] = {}
            for number, choice in enumerate(column):
                total, after = mine[choice], list(found[0].items())
                rest, cost = after[min(number, len(after) - 1)]
                if total is not None:
                    joined[choice + rest] = total[0] + cost[0], total[1] + cost[1]
            found.insert(0, joined)
        return [list(each.items()) for each in found]


class Walk:
    """Decisions slot by slot. ``open()`` tells which candidates of the next slot can still be completed."""

    def __init__(self, moves: Moves) -> None:
        self._moves = moves
        self._choice: list[int] = []
        self._planned = bool(moves.limits.values) and (moves.column_limits is None or len(moves.column_limits) > 1)
        self._plans: dict[int, Choice] = {}
        self._plan = moves.start if self._planned else None
        self._asked = False
        self._spent = moves.base if moves.limits.values else (0, 0)
        self._part = -1
        self._enter()

    @property
    def choice(self) -> Choice:
        return tuple(self._choice)

    @property
    def done(self) -> bool:
        return len(self._choice) == len(self._moves.slots)

    def open(self) -> np.ndarray:
        """One bool per candidate of the next slot; at least one is true."""
        if not self._moves.limits.values:
            return self._connectable()
        search = self._moves.search
        least = self._partial.least() + (search.weights @ self._spent + search.later[self._part])
        if not self._planned:
            assert self._moves.column_limits is not None
            opened: np.ndarray = least[:, 0] <= self._moves.column_limits[0][1]
            return opened
        self._plans, self._asked = {}, True
        for index, row in enumerate(least):
            plan = self._find_plan(index, row)
            if plan is not None:
                self._plans[index] = plan
        return np.array([index in self._plans for index in range(len(least))])

    def take(self, index: int) -> None:
        """Decide the next slot. ValueError for a candidate that is not open."""
        moves = self._moves
        if self._planned:
            if not self._asked:
                self.open()
            if index not in self._plans:
                raise ValueError(f"candidate {index} of slot {len(self._choice)} is not open")
            self._plan, self._plans, self._asked = self._plans[index], {}, False
        position = len(self._choice)
        self._choice.append(index)
        name, first, end = moves.parts[self._part]
        self._bits |= moves.nonnull[position][index] << (position - first)
        if moves.limits.values:
            self._partial.take(index)
        if position + 1 == end:
            if not moves.is_whole(name, self._bits):
                raise ValueError(f"candidate {index} of slot {position} is not open")
            self._leave()
            self._enter()

    def _leave(self) -> None:
        """Count the part that has just been decided."""
        moves = self._moves
        if moves.limits.values:
            name, first, end = moves.parts[self._part]
            total = moves.cells[name].total(self._choice[first:end])
            assert total is not None
            self._spent = self._spent[0] + total[0], self._spent[1] + total[1]

    def _enter(self) -> None:
        """Go to the next part that has slots."""
        moves = self._moves
        while self._part + 1 < len(moves.parts):
            self._part += 1
            _, first, end = moves.parts[self._part]
            self._bits = 0
            if end > first:
                if moves.limits.values:
                    self._partial = Partial(moves.search.spaces[self._part])
                return
            self._leave()

    def _connectable(self) -> np.ndarray:
        """More ops never disconnect anything, so it is enough to try the most that can follow."""
        moves, position = self._moves, len(self._choice)
        name, first, end = moves.parts[self._part]
        most = self._bits | sum(any(moves.nonnull[i]) << (i - first) for i in range(position + 1, end))
        after = [moves.is_whole(name, most), moves.is_whole(name, most | 1 << (position - first))]
        return np.array([after[nonnull] for nonnull in moves.nonnull[position]])

    def _find_plan(self, index: int, least: np.ndarray) -> Choice | None:
        """A whole choice that fits and goes on with a candidate; ``least``: what its completions cost, by weight."""
        moves, search = self._moves, self._moves.search
        if not np.isfinite(least).all() or any(least[column] > limit for column, limit in moves.column_limits or ()):
            return None
        if self._plan is not None and self._plan[len(self._choice)] == index:
            return self._plan
        begun = (*self._choice, index)
        for choice in moves.listed:
            if choice[: len(begun)] == begun:
                return choice
        for cheapest in moves.cheapest:
            choice = (*begun, *cheapest[len(begun) :])
            if moves.admits(choice):
                return choice
        name, first, _ = moves.parts[self._part]
        for inner in self._endings(index):
            total = moves.cells[name].total(inner)
            if total is None:
                continue
            for rest, cost in search.rests[self._part]:
                if moves.column_limits is None:
                    fits = moves.admits((*self._choice[:first], *inner, *rest))
                else:
                    fits = all(self._spent[c] + total[c] + cost[c] <= limit for c, limit in moves.column_limits)
                if fits:
                    return (*self._choice[:first], *inner, *rest)
        return None

    def _endings(self, index: int) -> Iterator[Choice]:
        """Ways to finish the part: as the input is, as the plan goes on, then the cheapest under every weight."""
        moves = self._moves
        position, (_, first, end) = len(self._choice), moves.parts[self._part]
        decided = (*self._choice[first:], index)
        yield (*decided, *moves.identity[position + 1 : end])
        if self._plan is not None:
            yield (*decided, *self._plan[position + 1 : end])
        for weight in reversed(range(len(moves.search.weights))):
            yield self._partial.completion(index, weight)
