"""What ``nat transform`` prints of architectures that are transformed together, or what is wrong with each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from nat_plugin.api.applying import Transformation, tried
from nat_plugin.api.architectures import Architecture
from nat_plugin.api.transformed import Transformed
from nat_plugin.errors import NATError, show_trace
from nat_plugin.ir import cost, is_connected
from nat_plugin.sources import Source, make_frame


@dataclass(frozen=True)
class Wrong:
    """An architecture of which nothing comes, by its line on standard input, if it has one."""

    problem: str
    line: int | None

    @staticmethod
    def of(error: NATError, line: int | None) -> Wrong:
        show_trace(error)
        return Wrong(str(error), line)


@dataclass(frozen=True)
class Done:
    """The result as text, its row for JSON, where that is wanted, and how sure it is, where the policy has a critic."""

    text: str
    row: dict[str, Any] | None
    remark: str | None = None


@dataclass(frozen=True)
class Printing:
    """``size``: channels, cells, image side and classes, as far as they are given. ``rows``: whether JSON is wanted."""

    transformation: Transformation
    size: tuple[int | None, int | None, int | None, int | None]
    rows: bool

    def of(self, found: Sequence[Source | Wrong]) -> list[Done | Wrong]:
        """In the same order. What of an architecture comes does not depend on the others."""
        sources = [each for each in found if isinstance(each, Source)]
        after = iter(self.transformation.of([tried(self._read, each) for each in sources]))
        return [each if isinstance(each, Wrong) else self._printed(each, next(after)) for each in found]

    def _read(self, source: Source) -> Architecture:
        return Architecture.of(source, make_frame(source, *self.size))

    def _printed(self, source: Source, found: Transformed | NATError) -> Done | Wrong:
        if isinstance(found, NATError):
            return Wrong.of(found, source.line)
        return Done(found.text, _row(found) if self.rows else None, found.remark)


def _row(found: Transformed) -> dict[str, Any]:
    old = cost(found.before) if is_connected(found.before) else None
    more: dict[str, Any] = {}
    if found.confidence is not None:
        more |= {"kept": found.kept, "probability": round(found.confidence, 4)}
    if found.looked_up:
        more["measured"] = dict(found.looked_up)
    if found.timed is not None:
        more["timed"] = asdict(found.timed)
    return {
        "source": found.label,
        "format": found.format,
        "architecture": found.text,
        "changed": found.changed,
        "params": found.params,
        "macs": found.macs,
        "source_params": old and old.params,
        "source_macs": old and old.macs,
    } | more
