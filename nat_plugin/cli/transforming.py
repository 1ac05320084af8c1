"""Architectures transformed together: what came of each, or what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from nat_plugin.cli.options import make_frame
from nat_plugin.errors import NATError, show_trace
from nat_plugin.evaluators.proxies.kept import ScoredLike
from nat_plugin.ir import Budget, Frame, Moves, Network, Rule, cost, is_connected, key
from nat_plugin.measuring.tables import TableMetric
from nat_plugin.policy.apply import apply_policy
from nat_plugin.policy.critic import Critic
from nat_plugin.policy.network import Policy
from nat_plugin.policy.proposing import Suggestion, suggest
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
    """The result as text, its row for JSON, where that is wanted, and how sure it is, where the policy has a critic."""

    text: str
    row: dict[str, Any] | None
    remark: str | None = None


@dataclass(frozen=True)
class Transformation:
    """What is to be done; ``size``: channels, cells, image side and classes, as far as they are given. With a critic an
    input stays where it does not know; ``with_proxies``: it is told those of its finalists."""

    rule: Rule
    limits: Budget
    tables: tuple[TableMetric, ...]
    policy: Policy
    critic: Critic | None
    samples: int
    seed: int
    is_extended: bool
    size: tuple[int | None, int | None, int | None, int | None]
    rows: bool
    with_proxies: bool = False

    def of(self, found: Sequence[Source | Wrong]) -> list[Done | Wrong]:
        """In the same order. What of an architecture comes does not depend on the others."""
        read = [each if isinstance(each, Wrong) else _tried(each, self._read) for each in found]
        begun = [each for each in read if not isinstance(each, Wrong)]
        after = iter(self._transformed(begun))
        return [each if isinstance(each, Wrong) else self._written(each, *next(after)) for each in read]

    def _transformed(self, begun: Sequence[_Begun]) -> list[tuple[Network, Suggestion | None]]:
        moves = [each.moves for each in begun]
        if self.critic is None:
            return [(each, None) for each in apply_policy(moves, self.policy, self.samples, self.seed)]
        scoring = [ScoredLike(each.source.text, each.source.adapter) for each in begun] if self.with_proxies else None
        found = suggest(moves, self.policy, self.critic, self.samples, self.seed, scoring=scoring)
        return [(each.network, each) for each in found]

    def _read(self, source: Source) -> _Begun:
        frame = make_frame(source, *self.size)
        network = source.adapter.read(source.text, frame)
        network = extended(network) if self.is_extended else network
        for table in self.tables:
            table.check(network, self.rule, source.adapter.identity(network))
        return _Begun(source, frame, Moves(network, self.rule, self.limits.resolve(network)))

    def _written(self, begun: _Begun, after: Network, suggestion: Suggestion | None) -> Done | Wrong:
        def write(source: Source) -> Done:
            writer = result_adapter(source.adapter, self.is_extended)
            text = write_back(writer, begun.moves, after, begun.frame)
            before = begun.moves.network
            row = _row(source.label, writer.name, before, after, text) if self.rows else None
            if suggestion is None:
                return Done(text, row)
            sure = {"kept": suggestion.kept, "probability": round(suggestion.probability, 4)}
            return Done(text, None if row is None else row | sure, _remark(suggestion))

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


def _remark(suggestion: Suggestion) -> str:
    said = f"with probability {suggestion.probability:.2f} it is better than the input"
    if suggestion.kept:
        return f"the input stays: no proposal is worth its risk (of the best, {said}, by the policy's critic)"
    return f"nothing was measured: {said}, by the policy's critic"


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
