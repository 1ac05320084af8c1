"""Random search over legal moves: the baseline that every other strategy has to beat."""

from __future__ import annotations

from nat_plugin.ir import Choice
from nat_plugin.strategies.per_input import PerInput


class RandomStrategy(PerInput):
    """The inputs in turn; slot by slot uniform over the open candidates; what computes the same is proposed once."""

    def propose(self, source: int) -> Choice | None:
        return self.fresh(source)
