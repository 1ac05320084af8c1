"""Backward elimination: drop, one after the other, what costs the least accuracy."""

from __future__ import annotations

from typing import TypeAlias

from nat_plugin.ir import Choice
from nat_plugin.search.base import Task
from nat_plugin.search.neighbourhood import Weight, cheaper_neighbours, greedy_repair, projection, weight
from nat_plugin.search.per_input import PerInput
from nat_plugin.settings import AnySettings, State

Drop: TypeAlias = tuple[Weight, Choice]
"""A step that could be taken: what is left after it, and where it leads."""


class GreedyStrategy(PerInput):
    """Greedy pruning: each step drops the operation, or makes the one leaner, that costs the least accuracy.

    From the current network (at first the input) all single changes that lower a cost and raise none are measured; the
    best one by gain, of equals the cheapest, is made, and so on until nothing is left to drop. It continues below the
    budget and through losses, since the result is the best of all measurements. It never takes a drop back, and waits
    until all measurements of a step are told.

    From an input over the budget single drops may not be within it either, and what is not within cannot be measured.
    Then each drop is measured together with the further ones that the budget demands (``greedy_repair``: few, by cost
    alone), and made together with them.
    """

    def __init__(self, task: Task, settings: AnySettings) -> None:
        super().__init__(task, settings)
        self._at = [moves.identity for moves in self.moves]
        self._drops: list[list[Drop] | None] = [None for _ in self.moves]  # from where it stands, once drawn up

    def propose(self, source: int) -> Choice | None:
        while True:
            drops = self._drops[source]
            if drops is None:
                drops = self._drops[source] = self._drawn_up(source)
            new = [choice for _, choice in drops if self.is_new(source, choice)]
            if new:
                return new[self.rng.integers(len(new))]
            open_keys = {self.key_of(source, choice) for choice in self.waiting(source)}
            gains = [self.gain(source, choice) for _, choice in drops]
            told = [(gain, drop) for gain, drop in zip(gains, drops, strict=True) if gain is not None]
            if not told or any(self.key_of(source, choice) in open_keys for _, choice in drops):
                return None
            _, (_, best) = max(told, key=lambda pair: (pair[0], [-part for part in pair[1][0]]))
            self._at[source], self._drops[source] = best, None

    def _drawn_up(self, source: int) -> list[Drop]:
        """The drops from where it stands; of those that compute the same, the leanest."""
        moves, at = self.moves[source], self._at[source]
        choices = [
            each
            for each in (greedy_repair(moves, choice) for _, choice in cheaper_neighbours(moves, at))
            if each is not None
        ]
        if not choices and not moves.admits(at):
            choices = [projection(moves, at)]
        found: dict[str, Drop] = {}
        for choice in choices:
            heft, name = weight(moves, choice), self.key_of(source, choice)
            assert heft is not None  # an admitted choice is connected
            if name not in found or heft < found[name][0]:
                found[name] = heft, choice
        return list(found.values())

    def state(self) -> State:
        return super().state() | {"at": [list(choice) for choice in self._at]}

    def restore(self, state: State) -> None:
        super().restore(state)
        self._at = [tuple(choice) for choice in state["at"]]
        self._drops = [None for _ in self._at]
