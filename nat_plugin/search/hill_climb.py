"""Hill climbing by single changes, from the input and then from random networks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nat_plugin.ir import Choice, Moves
from nat_plugin.search.base import Measurement, Task
from nat_plugin.search.neighbourhood import changed, projection
from nat_plugin.search.per_input import PerInput
from nat_plugin.settings import AnySettings, State


@dataclass
class Climb:
    """Where a climb stands. ``gain`` is None until it is measured; ``left``: the single changes (slot, candidate) from
    there that are still to be tried, None before they are drawn up; ``waiting``: its proposals not told yet."""

    at: Choice
    gain: float | None = None
    left: list[tuple[int, int]] | None = None
    waiting: set[int] = field(default_factory=set)

    def offer(self, choice: Choice, gain: float | None) -> bool:
        """Go to a better choice; whether it is one."""
        if gain is None or (self.gain is not None and gain <= self.gain):
            return False
        self.at, self.gain, self.left = choice, gain, None
        return True

    def state(self) -> list[Any]:
        left = None if self.left is None else [list(step) for step in self.left]
        return [list(self.at), self.gain, left, sorted(self.waiting)]

    @staticmethod
    def restored(state: list[Any]) -> Climb:
        at, gain, left, waiting = state
        steps = None if left is None else [(slot, index) for slot, index in left]
        return Climb(tuple(at), gain, steps, set(waiting))


class HillClimbStrategy(PerInput):
    """Local search by first improvement: single changes in random order, from the input first, with random restarts.

    An input over the budget cannot be measured: its climb starts from the ``projection`` network within. Where more is
    asked for than a climb has neighbours, the next climb begins beside it, so that any number can be under way.
    """

    def __init__(self, task: Task, settings: AnySettings) -> None:
        super().__init__(task, settings)
        self._climbs = [[Climb(moves.identity, 0.0)] if moves.admits(moves.identity) else [] for moves in self.moves]

    def propose(self, source: int) -> Choice | None:
        for climb in self._climbs[source]:
            choice = self._next(source, climb)
            if choice is not None:
                climb.waiting.add(self.number)
                return choice
        self._climbs[source] = [climb for climb in self._climbs[source] if climb.waiting]
        moves = self.moves[source]
        start = projection(moves, moves.identity)
        first = start if self.is_new(source, start) else self.fresh(source)
        if first is not None:
            self._climbs[source].append(Climb(first, waiting={self.number}))
        return first

    def _next(self, source: int, climb: Climb) -> Choice | None:
        """The next neighbour that was not proposed yet; those that were measured are made use of on the way."""
        moves = self.moves[source]
        while climb.left is None or climb.left:
            if climb.left is None:
                climb.left = self._shuffled(moves, climb.at)
                continue
            choice = changed(climb.at, *climb.left.pop())
            if not moves.admits(choice):
                continue
            if self.is_new(source, choice):
                return choice
            climb.offer(choice, self.gain(source, choice))
        return None

    def _shuffled(self, moves: Moves, at: Choice) -> list[tuple[int, int]]:
        steps = [(slot, i) for slot, ops in enumerate(moves.candidates) for i in range(len(ops)) if i != at[slot]]
        return [steps[number] for number in self.rng.permutation(len(steps))]

    def learn(self, source: int, number: int, choice: Choice, found: Measurement | None) -> None:
        for climb in self._climbs[source]:
            if number in climb.waiting:
                climb.waiting.remove(number)
                climb.offer(choice, found.gain if found else None)

    def state(self) -> State:
        return super().state() | {"climbs": [[climb.state() for climb in climbs] for climbs in self._climbs]}

    def restore(self, state: State) -> None:
        super().restore(state)
        self._climbs = [[Climb.restored(climb) for climb in climbs] for climbs in state["climbs"]]
