"""No search at all: what a change is measured against."""

from __future__ import annotations

from collections.abc import Sequence

from nat_plugin.ir import Network
from nat_plugin.search.base import Measurement, Proposal, Strategy
from nat_plugin.settings import State


class IdentityStrategy(Strategy):
    """No search: the result is the input, as a baseline."""

    def ask(self, count: int) -> list[Proposal]:
        del count
        return []

    def tell(self, proposal: Proposal, measurement: Measurement | None) -> None:
        pass

    def finalists(self, source: Network, count: int) -> Sequence[Network]:
        del source, count
        return []

    def state(self) -> State:
        return {}

    def restore(self, state: State) -> None:
        pass
