"""Strategies of the library on one input at a time, by lookup: what each has found after so many queries."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import TypeAlias

from nat_plugin.ir import Moves, Network
from nat_plugin.search.base import Measurement, Strategy, Task
from nat_plugin.search.greedy import GreedyStrategy
from nat_plugin.search.hill_climb import HillClimbStrategy
from nat_plugin.search.random_search import RandomStrategy
from nat_plugin.settings import Settings

SEARCHES: dict[str, type[Strategy]] = {
    "random search": RandomStrategy,
    "hill climbing": HillClimbStrategy,
    "greedy": GreedyStrategy,
}

IDLE = 300
"""Proposals in a row that are all known before a search is taken to have no more."""
Found: TypeAlias = tuple[Hashable, float, float]
"""What was looked up of a network: what it computes, the score to choose by, the gain to report."""


def gains_after(
    strategy: Strategy, own: Found, look_up: Callable[[Network], Found], stays: bool, queries: Sequence[int]
) -> list[float]:
    """The reported gain of the best by the score to choose by after each number of ``queries``, asked one at a time.

    A query is a network that computes something new; what computes the same as the input, or as what was asked before,
    costs nothing. ``own``: of the input, which is among what can be chosen where it ``stays`` possible (is within the
    limits); else the gain is 0 until something was measured."""
    name, before, _ = own
    known, best, gain, idle, curve = {name}, before if stays else -math.inf, 0.0, 0, [0.0]
    while len(known) <= max(queries) and idle < IDLE:
        proposals = strategy.ask(1)
        if not proposals:
            break
        name, score, reported = look_up(proposals[0].network)
        strategy.tell(proposals[0], Measurement(score, before))
        idle += 1
        if name in known:
            continue
        known.add(name)
        idle = 0
        if score > best:
            best, gain = score, reported
        curve.append(gain)
    return [curve[min(count, len(curve) - 1)] for count in queries]


def search(
    kind: type[Strategy], moves: Moves, task: Task, score: Callable[[Network], float], queries: Sequence[int]
) -> list[Network]:
    """The best measured within the budget after each number of ``queries`` (rising); the input is known and counts
    where it is within. ``moves`` are those of the task's one input. AssertionError for a proposal that is not legal,
    over the budget, or dead. The input, where nothing was measured."""
    [source] = task.inputs
    strategy, own = kind(task, Settings()), score(source)
    found: list[tuple[float, Network]] = [(own, source)] if moves.limits.fit(source) else []
    asked = 0
    while asked < queries[-1] and (proposals := strategy.ask(1)):
        for proposal in proposals:
            moves.verify(proposal.network)
            value = score(proposal.network)
            strategy.tell(proposal, Measurement(value, own))
            found.append((value, proposal.network))
            asked += 1
    free, best = len(found) - asked, [source]
    top = float("-inf")
    for value, network in found:
        best.append(network if value > top else best[-1])
        top = max(top, value)
    return [best[min(count + free, len(found))] for count in queries]
