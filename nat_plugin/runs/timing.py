"""Latency of the candidates as whole networks, where a budget limits it: timed once, before one of them is chosen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

from nat_plugin.ir import Choice, Moves, Network
from nat_plugin.measuring.latency import MeasuredLatency
from nat_plugin.measuring.latency_limits import Untimed, find_keeper
from nat_plugin.runs.progress import Reporter
from nat_plugin.runs.setup import Setup
from nat_plugin.settings import State


@dataclass(frozen=True)
class Timing:
    """What was measured of the input and of every finalist, and the milliseconds that are allowed; nothing where no
    limit is on latency, or none that is timed here, of which ``note`` says why."""

    measured: tuple[MeasuredLatency, ...] = ()
    most: float = 0.0
    setting: dict[str, Any] = field(default_factory=dict)
    note: str = ""

    def of(self, candidates: Sequence[int]) -> Timing:
        """Of some of the candidates, in that order."""
        return replace(self, measured=tuple(self.measured[each] for each in candidates)) if self.measured else self

    def fits(self, candidate: int) -> bool:
        """Whether a candidate (0 is the input) is within the limit with its whole interval."""
        return not self.measured or self.measured[candidate].high <= self.most

    def plain(self, candidate: int) -> dict[str, float] | None:
        """Of a candidate, ready for JSON."""
        return asdict(self.measured[candidate]) if self.measured else None

    def state(self) -> State:
        return asdict(self)

    @staticmethod
    def restored(state: State) -> Timing:
        measured = tuple(MeasuredLatency(**each) for each in state["measured"])
        return Timing(measured, state["most"], state["setting"], state["note"])


def timed(
    setup: Setup, finalists: Sequence[Network], others: Sequence[Network], count: int, reporter: Reporter
) -> tuple[list[Network], Timing]:
    """The first ``count`` of what becomes of finalists, which are networks of the search, so that a limit on latency
    holds for them as a whole at the final size, and is used; with what was measured. ``others``: what the search ranks
    next, for where a finalist does not keep the limit."""
    final, search = setup.final.network, setup.search.network
    keeper = find_keeper(final, setup.search.moves.rule, setup.final.budget, setup.adapter.latency)
    if isinstance(keeper, Untimed):
        reporter.phase("latency as a whole", 0)
        reporter.step(0, str(keeper))
        return list(finalists[:count]), Timing(note=str(keeper))
    if keeper is None:
        return list(finalists[:count]), Timing()
    reporter.phase("latency as a whole", count)
    kept: list[Network] = []
    ranking = partial(_within, [setup.enlarge(finalist) for finalist in (*finalists, *others)])
    for network in keeper.within([setup.enlarge(finalist) for finalist in finalists], ranking):
        candidate = search.with_ops(network.ops)
        if network != final and setup.evaluator.can_assess(candidate):
            kept.append(candidate)
            reporter.step(len(kept), str(keeper.measured(network)))
        if len(kept) == count:
            break
    measured = tuple(keeper.measured(network) for network in (final, *map(setup.enlarge, kept)))
    return kept, Timing(measured, keeper.most, keeper.timed.setting.plain())


def _within(networks: Sequence[Network], moves: Moves) -> Iterator[Choice]:
    """In their order, those that keep the limits of some moves."""
    choices = (moves.choice(network) for network in networks)
    return (choice for choice in choices if moves.admits(choice))
