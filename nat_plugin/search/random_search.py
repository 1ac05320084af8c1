"""Random search over legal moves: the baseline that every other strategy has to beat."""

from __future__ import annotations

from nat_plugin.ir import Choice
from nat_plugin.search.per_input import PerInput


class RandomStrategy(PerInput):
    """Uniform random search without duplicates.

    The inputs take turns; a move is drawn slot by slot, uniform over the candidates that are open; what computes the
    same is proposed once.
    """

    def propose(self, source: int) -> Choice | None:
        return self.fresh(source)
