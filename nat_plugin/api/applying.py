"""Architectures transformed together by one policy: what came of each, or what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from nat_plugin.api.architectures import Architecture
from nat_plugin.api.policies import LoadedPolicy
from nat_plugin.api.transformed import Transformed, TransformSettings
from nat_plugin.errors import NATError
from nat_plugin.ir import Budget, Choice, Moves, Network, Rule
from nat_plugin.measuring.latency import LATENCY, MeasuredLatency
from nat_plugin.measuring.latency_limits import Keeper, find_keeper
from nat_plugin.measuring.tables import TableMetric
from nat_plugin.policy.apply import apply_policy
from nat_plugin.policy.proposing import Suggestion, SuggestSettings, suggest
from nat_plugin.writing import extended, result_adapter, write_back

if TYPE_CHECKING:
    from nat_plugin.evaluators.proxies.cache import ScoredLike

_G = TypeVar("_G")
_T = TypeVar("_T")


@dataclass(frozen=True)
class Transformation:
    """What is to be done. With a critic an input stays where it does not know."""

    rule: Rule
    limits: Budget
    tables: tuple[TableMetric, ...]
    policy: LoadedPolicy
    settings: TransformSettings

    def of(self, given: Sequence[Architecture | NATError]) -> list[Transformed | NATError]:
        """In the same order; errors stay as they are. What of an architecture comes does not depend on the others."""
        read = [each if isinstance(each, NATError) else tried(self._begin, each) for each in given]
        begun = [each for each in read if not isinstance(each, NATError)]
        after = iter(self._transformed(begun))
        return [each if isinstance(each, NATError) else self._written(each, *next(after)) for each in read]

    def _begin(self, architecture: Architecture) -> _Begun:
        network = extended(architecture.network) if self.settings.extended else architecture.network
        for table in self.tables:
            table.check(network, self.rule, architecture.adapter.identity(network))
        return _Begun(architecture, Moves(network, self.rule, self.limits.resolve(network)))

    def _transformed(self, begun: Sequence[_Begun]) -> list[tuple[Network, Suggestion | None]]:
        moves, chosen, policy = [each.moves for each in begun], self.settings, self.policy
        if policy.critic is None:
            return [(each, None) for each in apply_policy(moves, policy.policy, chosen.samples, chosen.seed)]
        scoring = _scoring(begun) if chosen.proxies else None
        found = suggest(moves, policy.policy, policy.critic, SuggestSettings(chosen.samples, chosen.seed), scoring)
        return [(each.network, each) for each in found]

    @property
    def times(self) -> bool:
        """Whether results may be timed as a whole: nothing else should run beside that."""
        return any(each.metric == LATENCY for each in self.limits.limits)

    def _written(self, begun: _Begun, proposed: Network, suggestion: Suggestion | None) -> Transformed | NATError:
        def write(own: Architecture) -> Transformed:
            held = self._held(begun, proposed)
            after, writer = held.network, result_adapter(own.adapter, self.settings.extended)
            text = write_back(writer, held.moves, after, own.size)
            is_judged = suggestion is not None and after == proposed
            kept, sure = (suggestion.kept, suggestion.probability) if suggestion and is_judged else (False, None)
            return Transformed(
                text,
                after,
                writer,
                own.size,
                own.label,
                input=own,
                confidence=sure,
                kept=kept,
                timed=held.measured,
                note=held.note,
                looked_up={each.table.metric: each(after) for each in self.tables},
            )

        return tried(write, begun.architecture)

    def _held(self, begun: _Begun, proposed: Network) -> _Held:
        """What becomes of a proposal so that a limit on latency holds for it as a whole, if there is one. NATError
        where no network near it keeps the limit."""
        moves = begun.moves
        keeper = find_keeper(moves.network, self.rule, self.limits, begun.architecture.adapter.latency)
        if not isinstance(keeper, Keeper):
            return _Held(proposed, moves, note="" if keeper is None else str(keeper))
        network = keeper.kept(proposed, partial(self._proposed_within, begun))
        if network is None:
            raise NATError(
                f"timed as a whole it takes {keeper.measured(proposed)}, and no network near it keeps the limit of "
                f"{keeper.most:.3g} ms; raise the limit"
            )
        changed = "" if network == proposed else "what the policy proposed was changed to keep the limit and use it, "
        note = f"{changed}timed as a whole: {keeper.measured(network)} of {keeper.most:.3g} ms"
        by_counting = Moves(moves.network, self.rule, moves.limits.without(LATENCY))
        return _Held(network, by_counting, keeper.measured(network), note)

    def _proposed_within(self, begun: _Begun, moves: Moves) -> list[Choice]:
        """What the policy proposes under other limits."""
        return [moves.choice(network) for network, _ in self._transformed([replace(begun, moves=moves)])]


@dataclass(frozen=True)
class _Begun:
    architecture: Architecture
    moves: Moves


@dataclass(frozen=True)
class _Held:
    """A result, and the moves that it is held to by counting."""

    network: Network
    moves: Moves
    measured: MeasuredLatency | None = None
    note: str = ""


def _scoring(begun: Sequence[_Begun]) -> list[ScoredLike]:
    from nat_plugin.evaluators.proxies.cache import ScoredLike

    return [ScoredLike(each.architecture.text, each.architecture.adapter) for each in begun]


def tried(work: Callable[[_G], _T], given: _G) -> _T | NATError:
    """What comes of something, or what is wrong with it."""
    try:
        return work(given)
    except NATError as error:
        return error
