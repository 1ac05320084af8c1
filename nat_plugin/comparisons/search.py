"""One search: a strategy, an input, a seed, so many queries; and what was best after each of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import astuple, dataclass
from typing import Any

from nat_plugin.comparisons.queries import Queries
from nat_plugin.ir import Choice, Network, key
from nat_plugin.runs.setup import Setup

PATIENCE = 1000
"""Proposals in a row that are all known before a search is taken to have no more."""


@dataclass(frozen=True)
class Improvement:
    """After so many queries: the network that is the best so far by its measured gain over the input, that gain, and
    how much more accurate than the input it is on images that it was not chosen by."""

    query: int
    network: str
    gain: float
    held_out: float


@dataclass(frozen=True)
class Moved:
    """After so many queries: the moves to the best so far of what the input may become, whatever the input itself is
    worth, and its gain."""

    query: int
    gain: float
    choice: Choice


@dataclass(frozen=True)
class HeldOutInput:
    """The input on the images that nothing was chosen by: its accuracy, how many images, and what guessing gets."""

    accuracy: float
    images: int
    chance: float


@dataclass(frozen=True)
class SearchTrace:
    """What came of a search: every improvement, and how many queries were used. ``spent``: whether there was more to be
    asked when the queries were used up; otherwise the strategy had no more proposals. ``held_out_input`` is None where
    nothing was better than the input; ``notes`` are those of the strategy. ``moved``: every improvement among what the
    input may become."""

    steps: tuple[Improvement, ...]
    queries: int
    spent: bool
    held_out_input: HeldOutInput | None = None
    notes: tuple[str, ...] = ()
    moved: tuple[Moved, ...] = ()

    def to_json(self) -> dict[str, Any]:
        steps = [[step.query, step.network, step.gain, step.held_out] for step in self.steps]
        moved = [[each.query, each.gain, list(each.choice)] for each in self.moved]
        held_out_input = None if self.held_out_input is None else astuple(self.held_out_input)
        found = {"queries": self.queries, "spent": self.spent, "steps": steps, "input": held_out_input}
        return found | {"notes": list(self.notes), "moved": moved}

    @staticmethod
    def from_json(value: dict[str, Any]) -> SearchTrace:
        steps = tuple(
            Improvement(int(query), str(name), float(gain), float(out)) for query, name, gain, out in value["steps"]
        )
        moved = tuple(Moved(int(query), float(gain), tuple(map(int, moves))) for query, gain, moves in value["moved"])
        given = None
        if value["input"] is not None:
            accuracy, images, chance = value["input"]
            given = HeldOutInput(float(accuracy), int(images), float(chance))
        notes = tuple(map(str, value["notes"]))
        return SearchTrace(steps, int(value["queries"]), bool(value["spent"]), given, notes, moved)

    def curve(self, queries: int) -> list[Improvement | None]:
        """What was best after 0 to ``queries`` queries, (queries + 1); None before there is anything within the
        budget."""
        found: list[Improvement | None] = []
        steps = iter(self.steps)
        best, following = None, next(steps, None)
        for query in range(queries + 1):
            while following is not None and following.query <= query:
                best, following = following, next(steps, None)
            found.append(best)
        return found


def search(
    setup: Setup,
    queries: int,
    batch: int,
    held_out: Callable[[Network], float],
    note: Callable[[str], None] = lambda _: None,
) -> SearchTrace:
    """Let the strategy search. An input within the budget is the first best, with no query.

    A proposal that takes more queries than are left (it may take two, see ``Queries``) ends the search. ``note`` hears
    of each that was measured.
    """
    source, moves = setup.search.network, setup.search.moves
    asked = Queries(setup.evaluator, source, queries)
    steps = [Improvement(0, key(source), 0.0, 0.0)] if moves.limits.fit(source) else []
    moved: list[Moved] = []
    idle = 0
    while asked.left and idle < PATIENCE:
        proposals = setup.strategy.ask(min(batch, asked.left))
        if not proposals:
            return SearchTrace(tuple(steps), asked.used, False, moved=tuple(moved))
        for proposal in proposals:
            price = asked.price(proposal)
            if price > asked.left:
                return SearchTrace(tuple(steps), asked.used, True, moved=tuple(moved))
            idle = 0 if price else idle + 1
            found = asked.ask(proposal)
            note(f"query {asked.used} of {queries}")
            setup.strategy.tell(proposal, found)
            if found is None or not math.isfinite(found.gain) or proposal.source != source:
                continue
            if price and (not moved or found.gain > moved[-1].gain):
                moved.append(Moved(asked.used, found.gain, moves.choice(proposal.network)))
            if not steps or found.gain > steps[-1].gain:
                steps.append(Improvement(asked.used, key(proposal.network), found.gain, held_out(proposal.network)))
    return SearchTrace(tuple(steps), asked.used, not asked.left, moved=tuple(moved))
