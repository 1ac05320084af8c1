"""What ``nat transform`` prints of architectures that are transformed together, or what is wrong with each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import torch

from nat_plugin.api.applying import Transformation, tried
from nat_plugin.api.architectures import Architecture
from nat_plugin.api.transformed import Transformed
from nat_plugin.api.transforming import prepare
from nat_plugin.errors import NATError, show_trace
from nat_plugin.execution.base import ExecutorSettings
from nat_plugin.execution.choosing import find_executor, scratch_folder
from nat_plugin.execution.streams import in_order
from nat_plugin.ir import cost, is_connected
from nat_plugin.plugins import plugins
from nat_plugin.sources import Source, size_of


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
        return Architecture.of(source, size_of(source, *self.size))

    def _printed(self, source: Source, found: Transformed | NATError) -> Done | Wrong:
        if isinstance(found, NATError):
            return Wrong.of(found, source.line)
        return Done(found.text, _row(found) if self.rows else None, found.remark)


@dataclass(frozen=True)
class StreamRequest:
    """What a worker makes the same ``Printing`` of: plain values, hashable."""

    policy: str
    limits: tuple[tuple[str, str], ...]
    tables: tuple[tuple[str, str], ...]
    settings: tuple[tuple[str, Any], ...]
    device: str
    size: tuple[int | None, int | None, int | None, int | None]
    rows: bool

    def prepared(self) -> Transformation:
        """See ``nat_plugin.api.transforming.prepare``."""
        return prepare(self.policy, dict(self.limits), dict(self.tables), dict(self.settings), self.device)

    def everywhere(self) -> StreamRequest:
        """With paths that do not depend on the folder at hand."""
        own = Path(self.policy).absolute()
        tables = tuple((name, str(Path(path).absolute())) for name, path in self.tables)
        return replace(self, policy=str(own) if own.exists() else self.policy, tables=tables)


def printed(asked: StreamRequest, found: Sequence[Source | Wrong]) -> list[Done | Wrong]:
    """In a worker."""
    torch.set_num_threads(1)  # a policy is small, and threads would wait for each other
    return _printing(asked).of(found)


def by_executor(
    name: str,
    settings: ExecutorSettings,
    asked: StreamRequest,
    parts: Iterator[list[Source | Wrong]],
    ready: Callable[[], bool],
) -> Iterator[list[Done | Wrong]]:
    """What comes of the parts of a stream, in order, by an executor."""

    def lost(found: Source | Wrong, why: str) -> Wrong:
        return found if isinstance(found, Wrong) else Wrong(why, found.line)

    with scratch_folder() as folder, find_executor(name, settings, folder, plugins()) as executor:
        yield from in_order(executor, partial(printed, asked.everywhere()), parts, lost, ready)


@lru_cache(maxsize=1)
def _printing(asked: StreamRequest) -> Printing:
    return Printing(asked.prepared(), asked.size, asked.rows)


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
