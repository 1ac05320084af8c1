"""The ``table`` evaluator: results of networks that were truly trained, looked up."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nat_plugin.errors import NATError
from nat_plugin.evaluators.base import Assessment, Evaluator, EvaluatorContext, Split
from nat_plugin.evaluators.scale import Scale
from nat_plugin.evaluators.table.latencies import read_latencies
from nat_plugin.evaluators.table.lookup import LookupTable, Trained, open_table
from nat_plugin.evaluators.table.settings import TableSettings
from nat_plugin.evaluators.trial import Trial
from nat_plugin.fingerprints import Outside
from nat_plugin.ir import Network, NetworkSize, canonical, key
from nat_plugin.ir.budget import ListedMetric, Metric
from nat_plugin.search.base import Measurement, Proposal
from nat_plugin.settings import AnySettings, State
from nat_plugin.training.seeds import derive_seed

LATENCY, ABSENT = "latency", "absent"


class TableEvaluator(Evaluator):
    """Looks up the results of trained networks, in the table of a benchmark or in your own.

    A network of the user is looked up as it stands, any other as it would be written: without its dead operations.
    """

    Settings = TableSettings
    settings: TableSettings
    on_images = False
    how = "looked up among trained networks"
    assessed = "these two networks as they were trained for the table"
    metric_names = (LATENCY, ABSENT)

    def __init__(self, context: EvaluatorContext, settings: TableSettings) -> None:
        super().__init__(context, settings)
        self.table = open_table(settings)
        if settings.seed != "mean" and not self.table.results.single:
            raise NATError(f"{settings.path}: it has no results per seed for {self.table.results}; use seed: mean")
        if context.wirings and not self.table.rewires:
            raise NATError(
                f"{self.table.title} does not have every wiring; a strategy that samples other inputs needs that"
            )
        self._inputs = set(context.inputs)
        for network in context.inputs:
            self.table.check(network)
            if self._find(network) is None:
                raise NATError(f"{settings.path}: the input is not in this table, so gains over it are unknown")
        self._looked_up: dict[str, Trained | None] = {}  # by workers, by key
        self._latency = self.metrics(settings).get(LATENCY)
        self.queries: set[str] = set()
        """Keys of all networks whose result was asked for."""
        self.missing: set[str] = set()
        """Those of them that are not in the table."""

    @property
    def outside(self) -> tuple[Outside, ...]:
        paths = (self.settings.path, self.settings.latency)
        return tuple(Outside.all_of(path) for path in paths if path is not None)

    @classmethod
    def network_size(cls, settings: AnySettings) -> NetworkSize:
        return open_table(_of(settings)).network_size

    @classmethod
    def metrics(cls, settings: AnySettings) -> Mapping[str, Metric]:
        """``absent``: 0 for a network that is in the table, 1 for any other. ``latency`` in milliseconds of a network
        without its dead operations; infinite where it is not known."""
        table = open_table(_of(settings))
        look_up = _latencies(_of(settings), table)
        found: dict[str, Metric] = {ABSENT: _Absent(table)}
        return found if look_up is None else {**found, LATENCY: lambda network: look_up(canonical(network))}

    @classmethod
    def scale(cls, settings: AnySettings) -> Scale:
        table = open_table(_of(settings))
        return Scale(table.results.measured, table.unit != "number", table.results.lower_is_better)

    def trials(self, proposals: Sequence[Proposal]) -> list[Trial]:
        """Look-ups of what may become of an input; its own is known."""
        networks = {key(each): each for proposal in proposals for each in (proposal.source, proposal.network)}
        return [
            Trial(each) for name, each in networks.items() if name not in self._looked_up and each not in self._inputs
        ]

    def carry_out(self, trial: Trial) -> State:
        return {"found": self._find(trial.network)}

    def take(self, trial: Trial, found: State | None) -> None:
        self._looked_up[key(trial.network)] = None if found is None else found["found"]

    def measure(self, proposals: Sequence[Proposal]) -> list[Measurement | None]:
        """None for what is not in the table."""
        return [self._measure(each.source, each.network) for each in proposals]

    def assess(self, network: Network, split: Split) -> Assessment:
        """On selection the mean over the trainings, whatever a query gives."""
        found = self._find(network)
        if found is None:
            ops = ", ".join(map(str, network.ops))
            raise NATError(f"{self.settings.path}: this network is not in the table: {ops[:200]}")
        validation, test = self.table.results.images
        return Assessment(found.test, test) if split == "test" else Assessment(found.mean, validation)

    def can_assess(self, network: Network) -> bool:
        return self._find(network) is not None

    def summary(self) -> dict[str, Any]:
        table = self.table
        validation, test = table.results.images
        return {
            "name": table.name,
            "shape": list(table.network_size.input),
            "classes": table.network_size.classes,
            "splits": {"selection": validation, "test": test},
            "seed": self.settings.seed,
            "queries": len(self.queries),
            "absent": len(self.missing),
        }

    def state(self) -> State:
        return {"queries": sorted(self.queries), "missing": sorted(self.missing)}

    def restore(self, state: State) -> None:
        self.queries, self.missing = set(state["queries"]), set(state.get("missing", ()))

    def _measure(self, source: Network, network: Network) -> Measurement | None:
        before, after = self._score(source), self._score(network)
        if before is None or after is None:
            return None
        details = {"queries": float(len(self.queries))}
        if self._latency is not None:
            found = {f"{LATENCY}_ms": self._latency(network), f"source_{LATENCY}_ms": self._latency(source)}
            details |= {name: value for name, value in found.items() if math.isfinite(value)}
        return Measurement(after, before, details)

    def _score(self, network: Network) -> float | None:
        """None where there is no training, or none with the seed that was asked for."""
        found, name, wanted = self._find(network), key(network), self.settings.seed
        self.queries.add(name)
        if found is None:
            self.missing.add(name)
            return None
        if wanted == "mean":
            return found.mean
        if wanted == "draw":
            seeds = sorted(found.validation)
            wanted = seeds[derive_seed(self.context.seed, "table", name) % len(seeds)]
        return found.validation.get(wanted)

    def _find(self, network: Network) -> Trained | None:
        if network in self._inputs:
            return self.table.find(network)
        name = key(network) if self._looked_up else ""
        return self._looked_up[name] if name in self._looked_up else self.table.find(canonical(network))


class _Absent(ListedMetric):
    """Whether a table lacks a network, as a metric."""

    def __init__(self, table: LookupTable) -> None:
        self._table = table

    def __call__(self, network: Network) -> float:
        return float(self._table.find(network) is None)

    def like(self, network: Network) -> list[Network]:
        return self._table.like(network)


def _of(settings: AnySettings) -> TableSettings:
    assert isinstance(settings, TableSettings)
    return settings


def _latencies(settings: TableSettings, table: LookupTable) -> Callable[[Network], float] | None:
    """What gives the latency of a network; None if there is none."""
    if settings.latency is None:
        return table.latency if table.has_latency else None
    if not table.numbered:
        raise NATError(f"{settings.latency}: {settings.path} does not say which network has which number in there")
    known = read_latencies(settings.latency, settings.device)

    def look_up(network: Network) -> float:
        number = table.number(network)
        return math.inf if number is None else known.get(number, math.inf)

    return look_up
