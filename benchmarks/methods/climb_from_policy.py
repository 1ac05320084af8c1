"""Plain climbing from what a policy proposes: what ``nat`` with a policy would be without its predictor."""

from __future__ import annotations

from nat_plugin.ir import Choice
from nat_plugin.policy.apply import decode
from nat_plugin.policy.finding import find_policy
from nat_plugin.policy.sampling import greedy
from nat_plugin.search.base import Task
from nat_plugin.search.hill_climb import Climb, HillClimbStrategy
from nat_plugin.settings import Settings


class ClimbSettings(Settings):
    policy: str


class ClimbFromPolicy(HillClimbStrategy):
    """The policy's own proposal, first improvement from there, then anew from random networks."""

    Settings = ClimbSettings

    def __init__(self, task: Task, settings: ClimbSettings) -> None:
        super().__init__(task, settings)
        decoded = decode(find_policy(settings.policy, task.device), self.moves)
        own = [greedy(*each, moves) for each, moves in zip(decoded, self.moves, strict=True)]
        self._own: list[Choice | None] = [
            choice if self.is_new(source, choice) else None for source, choice in enumerate(own)
        ]
        for source, choice in enumerate(self._own):
            if choice is not None:
                self._climbs[source] = []

    def propose(self, source: int) -> Choice | None:
        own, self._own[source] = self._own[source], None
        if own is None:
            return super().propose(source)
        self._climbs[source].append(Climb(own, waiting={self.number}))
        return own
