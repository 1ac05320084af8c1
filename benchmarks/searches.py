"""Strategies of the library on one input at a time, by lookup: what each has found after so many queries."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nat_plugin.ir import Moves, Network
from nat_plugin.search.base import Measurement, Settings, Strategy, Task
from nat_plugin.search.greedy import GreedyStrategy
from nat_plugin.search.hill_climb import HillClimbStrategy
from nat_plugin.search.random_search import RandomStrategy

SEARCHES: dict[str, type[Strategy]] = {
    "random search": RandomStrategy,
    "hill climbing": HillClimbStrategy,
    "greedy": GreedyStrategy,
}


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
