"""Tasks whose networks were all trained: what each network is worth, what it may become, and which ones are good.

What a network becomes is looked up by what it computes (``nat_plugin.ir.key``): the mean over the rows that are written
without dead operations, over all rows where there are none. A network of the table itself is worth what its row says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from nat_plugin.errors import NATError
from nat_plugin.evaluators.table import MeasuredTable, TableSettings, read_table
from nat_plugin.evaluators.table.evaluator import ABSENT, TableEvaluator
from nat_plugin.ir import Budget, Moves, Network, Rule, find_rule
from nat_plugin.ir.budget import METRICS, Metric
from nat_plugin.plugins import plugins
from nat_plugin.policy.training.spaces import MACS, NONE, PARAMS, Reach, World, means_of_kinds

COLUMNS = {"macs": MACS, "params": PARAMS}


@dataclass(frozen=True)
class Setting:
    """What may become of an input: a rule set, and a limit as ``macs=0.8x`` or none."""

    rules: str
    limit: str = ""

    def __str__(self) -> str:
        return f"{self.rules} {self.limit}".rstrip()

    @property
    def rule(self) -> Rule:
        return find_rule(self.rules)


class MeasuredTask:
    """The networks of a table by their rows."""

    def __init__(self, settings: TableSettings) -> None:
        self.table: MeasuredTable = read_table(settings)
        self._world = World()
        networks = self.table.networks
        self._spaces = [self._world.space(network) for network in networks]
        by_space: dict[int, list[int]] = {}
        for row, space in enumerate(self._spaces):
            by_space.setdefault(id(space), []).append(row)
        self._members = {name: np.array(rows) for name, rows in by_space.items()}
        self._rows = np.array([space.row(each) for space, each in zip(self._spaces, networks, strict=True)])
        self.kinds = np.array([space.kinds[row] for space, row in zip(self._spaces, self._rows, strict=True)])
        """By row of the table; ``NONE`` for a network whose output does not depend on its input."""
        self._known = len(self._world.kinds)
        bare = np.array([self._is_bare(row) for row in range(len(networks))])
        self._chosen_by, self._reported = (
            means_of_kinds(values, self.kinds, bare, self._known) for values in (self.table.scores, self.table.test)
        )
        self._metrics: Mapping[str, Metric] = {} if self.table.complete else TableEvaluator.metrics(settings)

    @property
    def points(self) -> float:
        """What a score is multiplied with to be reported: accuracies in points."""
        return 1.0 if self.table.unit == "number" else 100.0

    def budget(self, limit: str) -> Budget:
        """Of ``macs=0.8x`` or nothing. In a table that lacks networks of its space, what it has is the limit."""
        limits: dict[str, object] = {} if self.table.complete else {ABSENT: 0}
        if limit:
            name, _, value = limit.partition("=")
            if name not in COLUMNS:
                raise NATError(f"limit '{limit}': write macs=0.8x or params=0.8x")
            limits[name] = value
        return Budget.parse(limits, {**METRICS, **self._metrics})

    def moves(self, row: int, setting: Setting) -> Moves:
        """NATError where nothing legal fits."""
        network = self.table.networks[row]
        return Moves(network, setting.rule, self.budget(setting.limit).resolve(network))

    def can_change(self, row: int, setting: Setting) -> bool:
        """Whether it can become another network of the table."""
        try:
            free = Moves(self.table.networks[row], setting.rule)
            if not self._others(row, free):  # so that limits, which take longer, are not asked for nothing
                return False
            return not (setting.limit or self._metrics) or self._others(row, self.moves(row, setting))
        except NATError:
            return False

    def _others(self, row: int, moves: Moves) -> bool:
        return bool((self.reachable(row, moves) != self.kinds[row]).any())

    def reachable(self, row: int, moves: Moves) -> np.ndarray:
        """The kinds of all networks of the table that one may become: exact, without going through choices."""
        space = self._spaces[row]
        reach, same = Reach.of(space, moves), self._members[id(space)]
        rows = self._rows[same]
        legal = self.kinds[same] != NONE
        for slot, options in enumerate(reach.options):
            legal &= np.isin(space.codes[rows, slot], options[options != NONE])
        for name, limit in moves.limits.values:
            if name in COLUMNS:
                legal &= space.costs[rows, COLUMNS[name]] <= limit
        found: np.ndarray = np.unique(self.kinds[same[legal]])
        return found

    def kind_of(self, row: int, network: Network) -> int:
        """Of what the network of a row became."""
        space = self._spaces[row]
        at = space.row(network)
        kind = int(space.kinds[at])
        if kind == NONE or kind >= self._known:
            raise NATError(
                f"{self.table.path}: what was proposed is not in the table: {', '.join(map(str, network.ops))}"
            )
        return kind

    def network_of(self, kind: int) -> Network:
        """Without dead operations."""
        return self._world.kinds.networks[kind]

    def chosen_by(self, row: int, kind: int) -> float:
        """The score by which to choose what a network becomes."""
        return float(self.table.scores[row] if kind == self.kinds[row] else self._chosen_by[kind])

    def gain(self, row: int, kind: int) -> float:
        """What is reported of it, in points of accuracy where it is one: 0 for what computes the same as the input."""
        if kind == self.kinds[row]:
            return 0.0
        return self.points * float(self._reported[kind] - self.table.test[row])

    def best(self, row: int, moves: Moves) -> float:
        """The gain of the best by the score to choose by; the input counts where it is within the limits."""
        kinds = self.reachable(row, moves)
        if self.kinds[row] not in kinds and moves.admits(moves.identity):
            kinds = np.append(kinds, self.kinds[row])
        scores = [self.chosen_by(row, int(kind)) for kind in kinds]
        return self.gain(row, int(kinds[int(np.argmax(scores))]))

    def _is_bare(self, row: int) -> bool:
        live = self._spaces[row].live[self._rows[row]]
        ops = self.table.networks[row].ops
        return all(alive or op.is_null for op, alive in zip(ops, live.tolist(), strict=True))


def good_half(task: MeasuredTask, others: Sequence[MeasuredTable]) -> tuple[np.ndarray | None, str]:
    """Whether each network is among the better half by other tasks of the same space (columns of the same table, or
    ``others``), by the mean of its ranks in these; where there are none, by the trainings to choose by, if others are
    reported. None where only the reported value is left. And a line on what it went by."""
    table = task.table
    ranks = {**_other_columns(table), **_other_tables(table, others)}
    if not ranks and not set(table.results.validation.values()) & set(table.results.test):
        ranks = {", ".join(table.results.validation.values()): rankdata(table.scores)}
    if not ranks:
        return None, ""
    mean, there = np.mean(list(ranks.values()), axis=0), task.kinds != NONE
    found: np.ndarray = there & (mean >= np.median(mean[there]))
    return found, "; ".join(ranks)


def _other_columns(table: MeasuredTable) -> dict[str, np.ndarray]:
    """Ranks by the reported columns of other tasks of a known layout, as far as the table has them whole."""
    found = {}
    for layout in plugins().table_layouts.values():
        for results in layout.results if layout.title == table.title else ():
            columns = [table.metrics[column] for column in results.test if column in table.metrics]
            whole = len(columns) == len(results.test) and all(np.isfinite(column).all() for column in columns)
            if results.dataset != table.results.dataset and whole:
                sign = -1.0 if results.lower_is_better else 1.0
                found[str(results)] = rankdata(sign * np.mean(columns, axis=0))
    return found


def _other_tables(table: MeasuredTable, others: Sequence[MeasuredTable]) -> dict[str, np.ndarray]:
    """Ranks by tables that have every network of this one, as it is written."""
    found = {}
    for other in others:
        known = dict(zip(other.texts, other.test.tolist(), strict=True))
        if other.path != table.path and known.keys() >= set(table.texts):
            found[other.name] = rankdata([known[text] for text in table.texts])
    return found
