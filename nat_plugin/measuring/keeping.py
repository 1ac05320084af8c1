"""Networks that keep a limit on latency when they are timed as a whole, and use it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

from nat_plugin.errors import NATError
from nat_plugin.ir import Moves, Network, Rule
from nat_plugin.ir.budget import Limits, Metric
from nat_plugin.measuring.latency import LATENCY, Latency, Measured
from nat_plugin.search.neighbourhood import filled, greedy_repair

ATTEMPTS = 4
"""So often a network is timed as a whole, each time changed by what it was over the limit or below it."""
LEAST_USE = 0.9
"""Of what a limit allows: what takes less gets operations back."""


class Keeper:
    """Holds the networks that may become of one to a limit on latency. ``timed`` measures them as a whole; they are
    changed by ``estimate``, corrected by how far that was off."""

    def __init__(self, network: Network, rule: Rule, timed: Latency, estimate: Metric) -> None:
        self._network, self._rule, self._timed, self._estimate = network, rule, timed, estimate
        self._known: dict[Network, Measured] = {}

    def measured(self, network: Network) -> Measured:
        """The latency of a network as a whole."""
        if network not in self._known:
            self._known[network] = self._timed.measured(network, self._estimate(network))
        return self._known[network]

    def within(self, networks: Sequence[Network], limits: Limits) -> Iterator[Network]:
        """What becomes of networks that keep the limits by estimate: each at most once."""
        known: set[Network] = set()
        for network in networks:
            kept = self._kept(network, limits)
            if kept is not None and kept not in known:
                known.add(kept)
                yield kept

    def _kept(self, network: Network, limits: Limits) -> Network | None:
        """The nearest to the limit of all that was tried; None if all are over it."""
        most, kept = dict(limits.values)[LATENCY], None
        tried: set[Network] = set()
        following: Network | None = network
        while following is not None and following not in tried and len(tried) < ATTEMPTS:
            tried.add(following)
            found = self.measured(following)
            if found.high <= most and (kept is None or found.ms > self.measured(kept).ms):
                kept = following
            if LEAST_USE * most <= found.ms and found.high <= most:
                break
            following = self._changed(following, limits, most)
        return kept

    def _changed(self, network: Network, limits: Limits, most: Fraction) -> Network | None:
        """Near to a network, leaner or fuller, with an estimate that is as far from the limit as what is saved was
        estimated wrong."""
        found, whole = self.measured(network), self._timed.whole
        if found.ms >= whole or found.estimate >= whole:
            return None
        is_over = found.high > most
        least_saved = whole - float(most) + (found.high - found.ms if is_over else 0.0)
        aim = whole - least_saved * (whole - found.estimate) / (whole - found.ms)
        room = tuple((name, Fraction(aim) if name == LATENCY else limit) for name, limit in limits.values)
        try:
            moves = Moves(self._network, self._rule, Limits(room, limits.metrics))
        except NATError:  # nothing fits
            return None
        choice = moves.choice(network)
        if is_over:
            changed = greedy_repair(moves, choice)
        else:
            changed = filled(moves, choice, LATENCY) if moves.admits(choice) else None
        return None if changed is None else moves.apply(changed)
