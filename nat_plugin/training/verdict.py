"""What a measured difference says about two architectures, and where it says nothing about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from nat_plugin.training.statistics import Difference, Interval

Word: TypeAlias = Literal["better", "worse", "within noise", "none"]


ONE_TRAINING = "the spread between trainings is not known"
"""The reason where there is one training of each."""


NO_IMAGES = "of how many images these values are is not known"
"""The reason where there are no intervals."""


@dataclass(frozen=True)
class Conclusion:
    """``word``: how the first architecture is against the second; "none": nothing can be said, for ``reason``."""

    word: Word
    reason: str = ""

    @property
    def beyond_noise(self) -> bool | None:
        """Whether there is a difference; None where there is no verdict."""
        return None if self.word == "none" else self.word != "within noise"


def conclude(difference: Difference, accuracies: tuple[Interval, Interval], chance: float) -> Conclusion:
    """A verdict from the difference on test of two architectures and the intervals of their accuracies there.

    A single training of each has no spread, and says nothing about another training: no verdict. Neither is there one
    where both may as well be guessing: ``chance`` is the accuracy of that.
    """
    if not difference.images:
        return Conclusion("none", NO_IMAGES)
    if all(at_chance(each, chance) for each in accuracies):
        return Conclusion("none", f"neither network can be told from guessing, which gets {chance:.1%} right")
    if max(difference.seeds) < 2:
        return Conclusion("none", ONE_TRAINING)
    if difference.low > 0:
        return Conclusion("better")
    return Conclusion("worse" if difference.high < 0 else "within noise")


def at_chance(accuracy: Interval, chance: float) -> bool:
    """Whether an accuracy may be that of guessing."""
    return accuracy.low <= chance
