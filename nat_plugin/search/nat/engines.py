"""Which of two engines makes the next proposal, by what was measured of the last ones of each."""

from __future__ import annotations

from typing import Any

FIRST = 8
"""Proposals of the acquisition before the policy makes one: it has learned nothing yet."""
_RECENT = 8
"""So many of the last proposals of an engine say how good it is."""
_LEAST, _MOST = 4, 32
"""After how many proposals of the better engine the other one makes one: twice as many each time that it is not the
better one then."""


class Engines:
    """The acquisition leads at first. Both stay in use, and either may come to lead.

    How good an engine is: of its last proposals, the mean standing of the better half; the standing of a proposal is
    the share of the last measurements of its input that it is better than. What is planned is not asked."""

    def __init__(self) -> None:
        self._recent: dict[bool, list[float]] = {False: [], True: []}  # standings, by whether the policy proposed
        self._policy_leads = False
        self._since, self._wait = 0, FIRST

    def policy_is_next(self) -> bool:
        """Whether the next proposal is the policy's; asked once for each."""
        self._since += 1
        if self._since <= self._wait:
            return self._policy_leads
        self._since = 0
        return not self._policy_leads

    def tell(self, by_policy: bool, standing: float) -> None:
        """What came of a proposal: from 0, which is also for those that failed, to 1."""
        recent = self._recent[by_policy]
        recent.append(standing)
        del recent[:-_RECENT]
        leads = self._quality(True) > self._quality(False)
        if leads != self._policy_leads:
            self._policy_leads, self._since, self._wait = leads, 0, _LEAST
        elif by_policy != leads:
            self._wait = min(_MOST, 2 * self._wait)

    def _quality(self, of_policy: bool) -> float:
        recent = sorted(self._recent[of_policy], reverse=True)
        best = recent[: -(-len(recent) // 2)]
        return sum(best) / len(best) if best else 0.0

    def state(self) -> list[Any]:
        return [self._recent[False][:], self._recent[True][:], self._policy_leads, self._since, self._wait]

    def restore(self, state: list[Any]) -> None:
        first, second, self._policy_leads, self._since, self._wait = state
        self._recent = {False: list(first), True: list(second)}
