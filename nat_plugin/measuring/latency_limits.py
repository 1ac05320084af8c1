"""Networks that keep a limit on latency when they are timed as a whole, and use it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from typing import TypeAlias

from nat_plugin.errors import NATError
from nat_plugin.ir import Budget, Choice, Moves, Network, Rule
from nat_plugin.ir.budget import Limits
from nat_plugin.measuring.latency import LATENCY, Latency, MeasuredLatency, TimedMetric
from nat_plugin.measuring.measure import settings_of
from nat_plugin.measuring.settings import LatencySettings
from nat_plugin.measuring.tables import TableMetric
from nat_plugin.search.neighbourhood import filled, greedy_repair

ATTEMPTS = 6
"""So often a network is timed as a whole, each time changed by what it was over the limit or below it."""
LEAST_USE = 0.9
"""Of what a limit allows: what takes less gets operations back."""
SPARE_FINALISTS = 4
"""So many networks are asked for, for each that is wanted: nothing near to some may keep the limit."""
RANKED = 500
"""So many of what a search ranks are asked whether they take enough of a limit."""

Ranking: TypeAlias = Callable[[Moves], Iterable[Choice]]
"""Choices within the limits of some moves, the best by what a search knows first."""


@dataclass(frozen=True)
class Untimed:
    """Why a limit on latency holds by estimate or table alone, in one line."""

    reason: str

    def __str__(self) -> str:
        return f"latency holds by the table, nothing was timed as a whole: {self.reason}"


class Keeper:
    """Holds the networks that may become of one to a limit on latency. ``timed`` measures them as a whole; they are
    changed by the estimate that ``budget`` is kept by, corrected by how far that was off. A limit that is relative is
    one on shares of the network, whatever a table says that it took when that was made."""

    def __init__(self, network: Network, rule: Rule, timed: Latency, budget: Budget) -> None:
        self._network, self._rule, self.timed = network, rule, timed
        self._limits, self._estimate = budget.resolve(network), budget.metrics[LATENCY]
        limits = [each for each in budget.limits if each.metric == LATENCY]
        self.most = float(min(each.value * (Fraction(timed.whole) if each.relative else 1) for each in limits))
        """Milliseconds that are allowed."""
        self._known: dict[Network, MeasuredLatency] = {}

    def measured(self, network: Network) -> MeasuredLatency:
        """The latency of a network as a whole, in turns with the original, of which it is a share."""
        if network not in self._known:
            whole, estimate = self.timed.whole, self._estimate(network)
            is_own = network == self._network
            own = MeasuredLatency(whole, whole, whole, estimate, 1.0)
            self._known[network] = own if is_own else self.timed.measured(network, estimate)
        return self._known[network]

    def fits(self, network: Network) -> bool:
        """Whether it is within the limit with its whole interval."""
        return self.measured(network).high <= self.most

    def within(self, networks: Sequence[Network], ranking: Ranking | None = None) -> Iterator[Network]:
        """What becomes of networks that keep the budget by estimate: each at most once."""
        known: set[Network] = set()
        for network in networks:
            kept = self.kept(network, ranking, known)
            if kept is not None and kept not in known:
                known.add(kept)
                yield kept

    def kept(self, network: Network, ranking: Ranking | None = None, but: Collection[Network] = ()) -> Network | None:
        """The nearest to the limit of all that was tried; None if all are over it. What is over the limit or takes too
        little of it is followed by what ``ranking`` has next under a limit that is corrected, without what is in
        ``but``; where that has nothing more, by a network near to it, whatever that is worth."""
        kept: Network | None = None
        tried: dict[Network, None] = {}
        following: Network | None = network
        while following is not None and following not in tried and len(tried) < ATTEMPTS:
            tried[following] = None
            found = self.measured(following)
            if self.fits(following) and (kept is None or found.ms > self.measured(kept).ms):
                kept = following
            if self.fits(following) and LEAST_USE * self.most <= found.ms:
                break
            following = self._changed(following, list(tried), ranking, but)
        return self.kept(network) if kept is None and ranking is not None else kept

    def _changed(
        self, network: Network, tried: Sequence[Network], ranking: Ranking | None, but: Collection[Network]
    ) -> Network | None:
        """What to try after a network, with an estimate that is as far from the limit as what is saved was estimated
        wrong; where it is over the limit, at most as large as what any that was asks for. Once some were over and some
        were not, between these. A limit that the original keeps asks for nothing to be used."""
        over = [each for each in tried if not self.fits(each)]
        is_over = network in over
        if not is_over and (self.most >= self.timed.whole or not self._saves(network)):
            return None
        aim, enough = min(map(self._aims, over)) if is_over else self._aims(network)
        highest = max((self._estimate(each) for each in tried if each not in over), default=aim)
        lowest = min(map(self._estimate, over), default=aim)
        if over and len(over) < len(tried) and highest < lowest:
            aim = (highest + lowest) / 2
            enough = max(highest, min(enough, aim))
        room = tuple((name, Fraction(aim) if name == LATENCY else limit) for name, limit in self._limits.values)
        try:
            moves = Moves(self._network, self._rule, Limits(room, self._limits.metrics))
        except NATError:  # nothing fits
            return None
        ranked = [] if ranking is None else self._ranked(moves, ranking, enough, {*tried, *but})
        if ranked and (is_over or self._estimate(ranked[0]) >= enough):
            return ranked[0]
        choice = moves.choice(network)
        if is_over:
            changed = greedy_repair(moves, choice)
        else:
            changed = filled(moves, choice, LATENCY, enough) if moves.admits(choice) else None
        return None if changed is None else moves.apply(changed)

    def _saves(self, network: Network) -> bool:
        """Whether it takes less than the original, as measured and by estimate."""
        found = self.measured(network)
        return found.ms < self.timed.whole and found.estimate < self._estimate(self._network)

    def _aims(self, network: Network) -> tuple[float, float]:
        """The most and the least that the estimate of a network like this one may be, to keep the limit and use it."""
        found, whole, expected = self.measured(network), self.timed.whole, self._estimate(self._network)
        off = (1 - found.estimate / expected) / (1 - found.ms / whole) if self._saves(network) else 1.0
        spare = 0.0 if self.fits(network) else found.high - found.ms
        most, least = ((limit - spare) / whole for limit in (self.most, LEAST_USE * self.most))
        return expected * (1 - (1 - most) * off), expected * (1 - (1 - least) * off)

    def _ranked(self, moves: Moves, ranking: Ranking, enough: float, known: Collection[Network]) -> list[Network]:
        """What is new of a ranking: what takes enough first."""
        found = [moves.apply(choice) for choice in islice(ranking(moves), RANKED)]
        new = [network for network in found if network not in known and network != self._network]
        return sorted(new, key=lambda network: self._estimate(network) < enough)


def find_keeper(
    network: Network, rule: Rule, budget: Budget, latency: Callable[[Network, LatencySettings], Latency]
) -> Keeper | Untimed | None:
    """Who holds what becomes of a network to a limit on latency as a whole; None where a budget has none.

    ``latency``: what times networks by the settings of a table (``Adapter.latency``). What cannot be timed here, by
    whatever made the estimate, is ``Untimed``."""
    if not any(each.metric == LATENCY for each in budget.limits):
        return None
    metric = budget.metrics[LATENCY]
    try:
        if isinstance(metric, TimedMetric):
            return Keeper(network, rule, metric.latency(network), budget)
        if isinstance(metric, TableMetric):
            return Keeper(network, rule, latency(network, settings_of(metric.table, str(metric.path))), budget)
    except NATError as error:
        return Untimed(str(error))
    return Untimed("the evaluator looks latencies up")
