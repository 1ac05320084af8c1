"""Choices in order of harm, by what was measured of any networks that became of an input."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from nat_plugin.ir import Choice, Moves, Network
from nat_plugin.search.knapsack.groups import is_sum
from nat_plugin.search.knapsack.harms import harms
from nat_plugin.search.knapsack.strategy import MOST_LIMITS, combinations


def can_rank(moves: Moves) -> bool:
    """Whether the limits are such that combinations can be found: few, and all on sums."""
    return len(moves.limits.values) <= MOST_LIMITS and all(is_sum(moves, name) for name, _ in moves.limits.values)


def least_harm(moves: Moves, gains: Sequence[tuple[Choice, float]]) -> Iterator[Choice]:
    """Choices within the limits, the least harm first, as the harms of changes that were measured add up."""
    return combinations(moves, harms(moves, [(choice, -gain) for choice, gain in gains]))


class HarmRanking:
    """Orders choices within any limits by the harm that was measured of their changes, the least first. ``gains``: of
    networks, over the limits or not."""

    def __init__(self, gains: Sequence[tuple[Network, float]]) -> None:
        self._gains = gains

    def __call__(self, moves: Moves) -> Iterable[Choice]:
        if not can_rank(moves):
            return ()
        return least_harm(moves, [(moves.choice(network), gain) for network, gain in self._gains])
