"""Architectures transformed together: what came of each, or what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from nat_plugin.cli.options import make_frame
from nat_plugin.errors import NATError, show_trace
from nat_plugin.ir import Budget, Frame, Moves, Network, Rule, cost, is_connected, key
from nat_plugin.policy.apply import apply_policy
from nat_plugin.policy.network import Policy
from nat_plugin.sources import Source
from nat_plugin.writing import extended, result_adapter, write_back

_T = TypeVar("_T")


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
    """The result as text, and its row for JSON, where that is wanted."""

    text: str
    row: dict[str, Any] | None


@dataclass(frozen=True)
class Transformation:
    """What is to be done; ``size``: channels, cells, image side and classes, as far as they are given."""

    rule: Rule
    limits: Budget
    policy: Policy
    samples: int
    seed: int
    is_extended: bool
    size: tuple[int | None, int | None, int | None, int | None]
    rows: bool

    def of(self, found: Sequence[Source | Wrong]) -> list[Done | Wrong]:
        """In the same order. What of an architecture comes does not depend on the others."""
        read = [each if isinstance(each, Wrong) else _tried(each, self._read) for each in found]
        begun = [each for each in read if not isinstance(each, Wrong)]
        after = iter(apply_policy([each.moves for each in begun], self.policy, self.samples, self.seed))
        return [each if isinstance(each, Wrong) else self._written(each, next(after)) for each in read]

    def _read(self, source: Source) -> _Begun:
        frame = make_frame(source, *self.size)
        network = source.adapter.read(source.text, frame)
        network = extended(network) if self.is_extended else network
        return _Begun(source, frame, Moves(network, self.rule, self.limits.resolve(network)))

    def _written(self, begun: _Begun, after: Network) -> Done | Wrong:
        def write(source: Source) -> Done:
            writer = result_adapter(source.adapter, self.is_extended)
            text = write_back(writer, begun.moves, after, begun.frame)
            before = begun.moves.network
            return Done(text, _row(source.label, writer.name, before, after, text) if self.rows else None)

        return _tried(begun.source, write)


@dataclass(frozen=True)
class _Begun:
    source: Source
    frame: Frame
    moves: Moves


def _tried(source: Source, work: Callable[[Source], _T]) -> _T | Wrong:
    try:
        return work(source)
    except NATError as error:
        return Wrong.of(error, source.line)


def _row(label: str, adapter: str, before: Network, after: Network, text: str) -> dict[str, Any]:
    new = cost(after)
    old = cost(before) if is_connected(before) else None
    return {
        "source": label,
        "format": adapter,
        "architecture": text,
        "changed": key(before) != key(after),
        "params": new.params,
        "macs": new.macs,
        "source_params": old and old.params,
        "source_macs": old and old.macs,
    }
