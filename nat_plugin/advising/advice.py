"""What is advised, as data and as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from nat_plugin.ir import Cost

LEAST_CHANGE = 0.01
"""A change below this counts as this: smaller ones are noise of so few pictures."""


@dataclass(frozen=True)
class PartShares:
    """A block or cell, a layer outside of any, the classifier or all the rest, and its shares of the whole."""

    name: str
    params: float
    macs: float
    latency: float


@dataclass(frozen=True)
class Effect:
    """What a change does to the output: ``change`` is the root of the mean square of the difference, as a share of the
    spread of the output over pictures, ``error`` its standard error; ``agreement`` the share of ``pictures`` with the
    same top-1; ``accuracy`` with the change less that without it, where labels are known."""

    change: float
    error: float
    agreement: float
    pictures: int
    accuracy: float | None = None


@dataclass(frozen=True)
class Replacement:
    """The op ``before`` in the slot ``at`` becomes ``after``."""

    at: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.at} {self.after}"


@dataclass(frozen=True)
class Savings:
    """Exact parameters and MACs, measured milliseconds, and these as a share of the latency of the whole."""

    params: int
    macs: int
    ms: float
    latency: float


@dataclass(frozen=True)
class Move(Savings, Replacement):
    """One move by itself. ``residual``: of an operation that was fitted, what it leaves unexplained of the block's
    outputs on pictures held out."""

    effect: Effect
    residual: float | None = None

    @property
    def worth(self) -> float:
        """Share of the latency that is saved per change of the output."""
        return self.latency / max(self.effect.change, LEAST_CHANGE)

    @property
    def is_uncertain(self) -> bool:
        """Whether the pictures leave open by half how much it changes."""
        return self.effect.error > 0.25 * self.effect.change


@dataclass(frozen=True)
class Combination(Savings):
    """Several moves together: what they save, exact and as the sum of what each does; the ``expected`` change of the
    output, which is with 95 % probability between ``low`` and ``high``; and where it was ``measured``, with operations
    fitted one after another, that too (what is expected was said before)."""

    replacements: tuple[Replacement, ...]
    expected: float
    low: float
    high: float
    agreement: float
    measured: Effect | None = None

    @property
    def change(self) -> float:
        """As it was measured, else as it is expected."""
        return self.expected if self.measured is None else self.measured.change


@dataclass(frozen=True)
class Advice:
    """What was found out of the changes of a network, and how. ``moves``: best first, by the latency saved per change
    of the output. ``combinations``: from small to large savings; those of which no other one saves more and changes
    less, and all that were measured. ``whole``, ``ms``: of the model itself. ``not_compared``: moves whose ops have no
    weights to begin with."""

    model: str
    whole: Cost
    ms: float
    setting: str
    pictures: int
    parts: tuple[PartShares, ...]
    moves: tuple[Move, ...]
    combinations: tuple[Combination, ...] = ()
    accuracy: float | None = None
    not_compared: int = 0

    def to_json(self) -> dict[str, Any]:
        moves = [{**asdict(move), "worth": move.worth, "uncertain": move.is_uncertain} for move in self.moves]
        own = {"model": self.model, "params": self.whole.params, "macs": self.whole.macs, "ms": self.ms}
        seen = {"setting": self.setting, "pictures": self.pictures, "accuracy": self.accuracy}
        seen |= {"not_compared": self.not_compared}
        combinations = [{**asdict(each), "change": each.change} for each in self.combinations]
        parts = [asdict(part) for part in self.parts]
        return {**own, **seen, "parts": parts, "moves": moves, "combinations": combinations}

    def __str__(self) -> str:
        from nat_plugin.advising.table import table

        return table(self)
