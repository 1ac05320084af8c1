"""Strategies, which are asked for networks and told what was measured of them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nat_plugin.search.base import Measurement as Measurement
    from nat_plugin.search.base import Proposal as Proposal
    from nat_plugin.search.base import Strategy as Strategy
    from nat_plugin.search.base import Task as Task
    from nat_plugin.search.knapsack.ranking import HarmRanking as HarmRanking
else:
    from nat_plugin.lazy import lazy_room

    __getattr__, __dir__, __all__ = lazy_room(
        __name__,
        {
            "base": ("Measurement", "Proposal", "Strategy", "Task"),
            "knapsack.ranking": ("HarmRanking",),
        },
    )
