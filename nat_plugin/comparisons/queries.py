"""What counts as a query: a distinct network measured for one input. The input itself is free."""

from __future__ import annotations

from nat_plugin.evaluators.base import Evaluator
from nat_plugin.ir import Network, key
from nat_plugin.search.base import Measurement, Proposal


class Queries:
    """Answers proposals for one input from what is known, and from the evaluator as long as queries are left.

    A proposal for another input than the user's (a neighbour that a policy trains on) costs a query for that input too.
    """

    def __init__(self, evaluator: Evaluator, source: Network, limit: int) -> None:
        self._evaluator, self._limit = evaluator, limit
        self._known = {key(source)}
        self._answers: dict[tuple[str, str], Measurement | None] = {}

    @property
    def used(self) -> int:
        return len(self._known) - 1

    @property
    def left(self) -> int:
        return self._limit - self.used

    def price(self, proposal: Proposal) -> int:
        """How many queries it would take."""
        return len({key(proposal.source), key(proposal.network)} - self._known)

    def ask(self, proposal: Proposal) -> Measurement | None:
        """What was measured, now or before; None if that failed."""
        names = key(proposal.source), key(proposal.network)
        if names not in self._answers:
            (self._answers[names],) = self._evaluator.measure([proposal])
            self._known.update(names)
        return self._answers[names]
