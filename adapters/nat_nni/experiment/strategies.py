"""The strategies by their own names, so that they can be compared inside NNI: one shell, one set of moves."""

from __future__ import annotations

from typing import Any

from nat_nni.experiment.strategy import SearchStrategy


class NAT(SearchStrategy):
    """Neural Architecture Transformer: a policy proposes which ops to replace, and learns from what is measured.
    Settings are those of ``nat_plugin.search.nat.settings.NATSettings``; ``policy="FILE"`` starts from
    one of your own (docs/how-to/own-policy.md) in place of the one that ships, ``policy="none"`` from none."""

    core = "nat"

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)


class RandomSearch(SearchStrategy):
    """Random legal moves on the same inputs, within the same budget."""

    core = "random"

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)


class HillClimb(SearchStrategy):
    """Single changes from the input, kept where they are better; then again from random networks."""

    core = "hill_climb"

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)


class Evolution(SearchStrategy):
    """Regularised evolution over the same moves; settings ``population`` and ``tournament``."""

    core = "evolution"

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
