"""What several changes do together, by what each does by itself: where to begin once single changes were measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nat_plugin.ir import Choice, Moves
from nat_plugin.search.knapsack.groups import is_sum
from nat_plugin.search.knapsack.harms import harms
from nat_plugin.search.knapsack.strategy import MOST_LIMITS, combinations
from nat_plugin.search.surrogate.observations import Observation


def can_add(moves: Moves) -> bool:
    """Whether the limits are such that combinations can be found: few, and all on sums."""
    return len(moves.limits.values) <= MOST_LIMITS and all(is_sum(moves, name) for name, _ in moves.limits.values)


def least_harm(moves: Moves, told: Sequence[Observation]) -> Iterator[Choice]:
    """Choices within the limits, the least harm first, as the harms of changes that were told add up."""
    return combinations(moves, harms(moves, [(each.choice, -each.gain) for each in told]))
