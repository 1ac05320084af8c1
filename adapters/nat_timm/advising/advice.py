"""What is advised, as data, as a table and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from nat_plugin.ir import Cost

LEAST_CHANGE = 0.01
"""A change below this counts as this: smaller ones are noise of so few pictures."""
SHOWN = 25


@dataclass(frozen=True)
class Part:
    """A block, a layer outside of any, the classifier or all the rest, and its shares of the whole."""

    name: str
    params: float
    macs: float
    latency: float


@dataclass(frozen=True)
class Effect:
    """What a move changes in the output of the model: ``change`` is the root of the mean square of the difference,
    as a share of the spread of the output over pictures, ``error`` its standard error; ``agreement`` the share of
    ``pictures`` with the same top-1; ``accuracy`` with the move less that without it, where labels are known."""

    change: float
    error: float
    agreement: float
    pictures: int
    accuracy: float | None = None


@dataclass(frozen=True)
class Move:
    """One move by itself: exact costs and measured milliseconds that it saves, and what it changes. ``residual``: of
    an operation that was fitted, what it leaves unexplained of the block's outputs on pictures held out."""

    at: str
    before: str
    after: str
    params: int
    macs: int
    ms: float
    latency: float
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
class Advice:
    """``moves``: best first, by the latency saved per change of the output. ``whole``, ``ms``: of the model itself."""

    model: str
    whole: Cost
    ms: float
    setting: str
    pictures: int
    parts: tuple[Part, ...]
    moves: tuple[Move, ...]
    accuracy: float | None = None

    def to_json(self) -> dict[str, Any]:
        moves = [{**asdict(move), "worth": move.worth, "uncertain": move.is_uncertain} for move in self.moves]
        own = {"model": self.model, "params": self.whole.params, "macs": self.whole.macs, "ms": self.ms}
        seen = {"setting": self.setting, "pictures": self.pictures, "accuracy": self.accuracy}
        return {**own, **seen, "parts": [asdict(part) for part in self.parts], "moves": moves}

    def __str__(self) -> str:
        accuracy = "" if self.accuracy is None else f", accuracy {self.accuracy:.1%}"
        costs = f"{self.whole.params:,} parameters, {self.whole.macs:,} MACs, {self.ms:.3g} ms"
        lines = [f"{self.model}: {costs} ({self.setting}); {self.pictures} pictures{accuracy}", ""]
        lines += _table(("part", "params", "MACs", "latency"), [_part(part) for part in self.parts])
        lines += ["", "moves, each by itself; best first by latency saved per change of the output:"]
        head = ["block", "before", "after", "params", "MACs", "latency", "change", "same top-1"]
        head += ["accuracy"] * (self.accuracy is not None)
        lines += _table(head, [_row(move) for move in self.moves[:SHOWN]])
        if len(self.moves) > SHOWN:
            lines.append(f"and {len(self.moves) - SHOWN} more (--json has all)")
        lines.append("change: root mean square difference of the logits, in units of their spread over the pictures")
        if any(move.is_uncertain for move in self.moves[:SHOWN]):
            lines.append("?: uncertain by half or more on so few pictures")
        return "\n".join(lines)


def _part(part: Part) -> tuple[str, ...]:
    return part.name, *(f"{100 * share:.1f} %" for share in (part.params, part.macs, part.latency))


def _row(move: Move) -> tuple[str, ...]:
    effect = move.effect
    change = f"{effect.change:.3f} ± {effect.error:.3f}{'?' * move.is_uncertain}"
    saved = f"{-move.params:+,}", f"{-move.macs:+,}", f"{-100 * move.latency:+.1f} %"
    found = (move.at, move.before, move.after, *saved, change, f"{effect.agreement:.0%} of {effect.pictures}")
    return found if effect.accuracy is None else (*found, f"{100 * effect.accuracy:+.1f}")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)
    ]
