"""Tables of trained networks, as a training reads them."""

from __future__ import annotations

from collections.abc import Sequence

from nat_plugin.evaluators.proxies.cache import Scored, ScoredLike
from nat_plugin.evaluators.table import TableSettings, read_table
from nat_plugin.evaluators.table.reading import LeftOut
from nat_plugin.fingerprints import Outside
from nat_plugin.policy.training.tasks import NetworkPool

SHOWN = 3
"""Lines of a table that are named among those left out for the same reason."""


def _counted(left_out: Sequence[LeftOut]) -> tuple[str, ...]:
    """By reason, how many rows are left out and which come first."""
    lines: dict[str, list[int]] = {}
    for each in left_out:
        lines.setdefault(each.why, []).append(each.line)
    return tuple(f"{len(found):,} rows ({_shown(found)}): {why}" for why, found in lines.items())


def _shown(lines: Sequence[int]) -> str:
    return ", ".join([f"line {line}" for line in lines[:SHOWN]] + ["…"] * (len(lines) > SHOWN))


def pool_of_table(settings: TableSettings) -> NetworkPool:
    """Every network of the table that the settings of the evaluator ``table`` name."""
    table = read_table(settings)
    scores, adapter = table.scores, table.adapter

    def scored(number: int) -> Scored:
        return ScoredLike(table.texts[number], adapter)(table.networks[number])

    return NetworkPool(
        table.networks,
        lambda numbers: [float(scores[number]) for number in numbers],
        known=True,
        what=str(table.results),
        space=table.title,
        scored=scored,
        left_out=_counted(table.left_out),
        outside=(Outside.all_of(settings.path),),
    )
