"""Evaluators: networks in, measurements out; by shared weights, training, a table or proxies."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nat_plugin.evaluators.base import Assessment as Assessment
    from nat_plugin.evaluators.base import Evaluator as Evaluator
    from nat_plugin.evaluators.base import EvaluatorContext as EvaluatorContext
    from nat_plugin.evaluators.base import Saved as Saved
    from nat_plugin.evaluators.base import Split as Split
    from nat_plugin.evaluators.feed import Batches as Batches
    from nat_plugin.evaluators.feed import Feed as Feed
    from nat_plugin.evaluators.scale import Scale as Scale
    from nat_plugin.evaluators.supernet import SupernetEvaluator as SupernetEvaluator
    from nat_plugin.evaluators.supernet import SupernetSettings as SupernetSettings
    from nat_plugin.evaluators.trial import Trial as Trial
else:
    from nat_plugin.lazy import lazy_room

    __getattr__, __dir__, __all__ = lazy_room(
        __name__,
        {
            "base": ("Assessment", "Evaluator", "EvaluatorContext", "Saved", "Split"),
            "feed": ("Batches", "Feed"),
            "scale": ("Scale",),
            "supernet": ("SupernetEvaluator", "SupernetSettings"),
            "trial": ("Trial",),
        },
    )
