"""Advice as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nat_plugin.advising.advice import Advice, Combination, Move, PartShares, Savings

SHOWN = 25


def table(advice: Advice) -> str:
    return "\n".join(_lines(advice))


def _lines(advice: Advice) -> Iterator[str]:
    accuracy = "" if advice.accuracy is None else f", accuracy {advice.accuracy:.1%}"
    costs = f"{advice.whole.params:,} parameters, {advice.whole.macs:,} MACs, {advice.ms:.3g} ms"
    yield f"{advice.model}: {costs} ({advice.setting}); {advice.pictures} pictures{accuracy}"
    yield ""
    yield from _columns(("part", "params", "MACs", "latency"), [_part(part) for part in advice.parts])
    yield ""
    yield "moves, each by itself; best first by latency saved per change of the output:"
    head = ["slot", "before", "after", "params", "MACs", "latency", "change", "same top-1"]
    head += ["accuracy"] * (advice.accuracy is not None)
    yield from _columns(head, [_move(move) for move in advice.moves[:SHOWN]])
    if len(advice.moves) > SHOWN:
        yield f"and {len(advice.moves) - SHOWN} more (--json has all)"
    yield "change: root mean square difference of the logits, in units of their spread over the pictures"
    if any(move.is_uncertain for move in advice.moves[:SHOWN]):
        yield "?: uncertain by half or more on so few pictures"
    if advice.not_compared:
        yield f"{advice.not_compared} more moves are not compared: their ops can neither be fitted nor inherit weights"
    if advice.combinations:
        yield ""
        yield "moves that go together; the change is expected, with its 95 % interval, and measured where it says so:"
        rows = [_combination(number, each) for number, each in enumerate(advice.combinations, start=1)]
        yield from _columns(("", "moves", "params", "MACs", "latency", "expected", "measured", "same top-1"), rows)
        for number, each in enumerate(advice.combinations, start=1):
            yield f"{number}: {', '.join(map(str, each.replacements))}"


def _part(part: PartShares) -> tuple[str, ...]:
    return part.name, *(f"{100 * share:.1f} %" for share in (part.params, part.macs, part.latency))


def _saved(each: Savings) -> tuple[str, str, str]:
    return f"{-each.params:+,}", f"{-each.macs:+,}", f"{-100 * each.latency:+.1f} %"


def _move(move: Move) -> tuple[str, ...]:
    effect = move.effect
    change = f"{effect.change:.3f} ± {effect.error:.3f}{'?' * move.is_uncertain}"
    same = f"{effect.agreement:.0%} of {effect.pictures}"
    cells = (move.at, move.before, move.after, *_saved(move), change, same)
    return cells if effect.accuracy is None else (*cells, f"{100 * effect.accuracy:+.1f}")


def _combination(number: int, each: Combination) -> tuple[str, ...]:
    seen, expected = each.measured, f"{each.expected:.2f} [{each.low:.2f}, {each.high:.2f}]"
    measured = "" if seen is None else f"{seen.change:.2f} ± {seen.error:.2f}"
    same = f"{each.agreement:.0%} expected" if seen is None else f"{seen.agreement:.0%} of {seen.pictures}"
    return str(number), str(len(each.replacements)), *_saved(each), expected, measured, same


def _columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)
    ]
