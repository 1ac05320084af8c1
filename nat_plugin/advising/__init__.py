"""`nat advise`: what each change of a network with weights saves, what it changes, and which go well together."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nat_plugin.advising.advice import Advice as Advice
    from nat_plugin.advising.advice import Effect as Effect
    from nat_plugin.advising.advice import PartShares as PartShares
    from nat_plugin.advising.advice import Replacement as Replacement
    from nat_plugin.advising.effects import Outputs as Outputs
    from nat_plugin.advising.images import read_images as read_images
    from nat_plugin.advising.session import Change as Change
    from nat_plugin.advising.session import Subject as Subject
    from nat_plugin.advising.session import advise_on as advise_on
    from nat_plugin.advising.session import check_budget as check_budget
    from nat_plugin.advising.settings import AdviceSettings as AdviceSettings
    from nat_plugin.advising.timing import Stopwatch as Stopwatch
else:
    from nat_plugin.lazy import lazy_room

    __getattr__, __dir__, __all__ = lazy_room(
        __name__,
        {
            "advice": ("Advice", "Effect", "PartShares", "Replacement"),
            "effects": ("Outputs",),
            "images": ("read_images",),
            "session": ("Change", "Subject", "advise_on", "check_budget"),
            "settings": ("AdviceSettings",),
            "timing": ("Stopwatch",),
        },
    )
