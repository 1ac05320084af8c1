"""Everything that can be reached, for spaces that are small enough."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from nat_plugin.errors import NATError
from nat_plugin.ir import Choice
from nat_plugin.search.base import Task
from nat_plugin.search.per_input import PerInput
from nat_plugin.settings import Settings, State


class ExhaustiveSettings(Settings):
    """Settings of ``exhaustive``."""

    largest: Annotated[int, Field(ge=1, le=10_000_000)] = 10_000
    """Maximum number of combinations of candidates of one input, before budget and duplicates; with more, the input is
    refused."""


class ExhaustiveStrategy(PerInput):
    """Exhaustive search: every network within the rules and the budget, once."""

    Settings = ExhaustiveSettings
    settings: ExhaustiveSettings

    def __init__(self, task: Task, settings: ExhaustiveSettings) -> None:
        super().__init__(task, settings)
        for number, moves in enumerate(self.moves):
            if moves.count > settings.largest:
                raise NATError(
                    f"strategy 'exhaustive': input {number} has {moves.count:,} combinations of moves, more than "
                    f"`largest` ({settings.largest:,}); raise it, use narrower rules or another strategy"
                )
        self._left = [moves.all() for moves in self.moves]

    def propose(self, source: int) -> Choice | None:
        """After ``restore`` the order begins anew, and what was proposed is passed over."""
        return next((choice for choice in self._left[source] if self.is_new(source, choice)), None)

    def restore(self, state: State) -> None:
        super().restore(state)
        self._left = [moves.all() for moves in self.moves]
