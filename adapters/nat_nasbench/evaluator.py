"""The ``table`` evaluator: accuracies that were truly trained, looked up."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from nat_nasbench.spaces import NB201
from nat_nasbench.tables import Table, Trained, open_table, read_latencies
from nat_plugin.errors import NATError
from nat_plugin.evaluators.base import Assessment, Bench, Evaluator, Split
from nat_plugin.ir import Frame, Network, canonical, key
from nat_plugin.ir.budget import Metric
from nat_plugin.outside import Outside, OutsidePath
from nat_plugin.search.base import Measurement, Proposal, State
from nat_plugin.search.base import Settings as AnySettings
from nat_plugin.training.seeds import derive

LATENCY = "latency"


class TableSettings(AnySettings):
    """Settings of the ``table`` evaluator."""

    path: OutsidePath = Field(
        description="the table: a csv file (gzip or plain), or what `format` says; ~ is the home folder"
    )
    format: Literal["csv", "nats_bench", "nni"] = Field(
        default="csv",
        description="csv; the official file or folder of NATS-Bench (pickles, which the package nats-bench loads: only "
        "from a source that you trust); or NNI's database of NAS-Bench-201",
    )
    dataset: Literal["cifar10", "cifar100", "imagenet16-120"] = Field(
        default="cifar10", description="whose accuracies, as far as the table has them"
    )
    epochs: int | None = Field(
        default=None,
        ge=1,
        le=100_000,
        description="of the training: 200 or 12, of NAS-Bench-Macro 50; left out: the longest in the table",
    )
    seed: Literal["mean", "draw"] | Annotated[int, Field(ge=0, lt=2**31)] = Field(
        default="mean",
        description="what a query gives: the mean over the trainings of a network; one of them, drawn by the seed of "
        "the run, with its noise; or that of this seed as the table names it",
    )
    latency: OutsidePath | None = Field(
        default=None, description="a csv file of latencies in ms; with it a budget may limit `latency`"
    )
    device: str = Field(default="1080ti_1", description="the column of that file: which device")

    def table(self) -> Table:
        return open_table(self.path, self.format, self.dataset, self.epochs)


class TableEvaluator(Evaluator):
    """Looks up truly trained accuracies in the table of a benchmark.

    A network of the user is looked up as it stands, any other as it would be written: without its dead operations.
    """

    Settings = TableSettings
    settings: TableSettings
    on_images = False
    how = "looked up among trained networks"
    assessed = "these two networks as they were trained for the table"
    metric_names = (LATENCY,)

    def __init__(self, bench: Bench, settings: TableSettings) -> None:
        super().__init__(bench, settings)
        self.table = settings.table()
        space, query = self.table.space, self.table.query
        if settings.seed != "mean" and not self.table.single:
            raise NATError(
                f"{settings.path}: of {query.dataset} after {query.epochs} epochs it has no single trainings; use "
                "seed: mean"
            )
        if bench.wirings and not space.rewires:
            raise NATError(f"{space.title} has one wiring only: a strategy that draws others cannot be measured by it")
        for network in bench.inputs:
            space.check(network, query.dataset)
        self._inputs = set(bench.inputs)
        self._latency = self.metrics(settings).get(LATENCY)
        self.queries: set[str] = set()
        """Keys of all networks whose accuracy was asked for."""

    @property
    def outside(self) -> tuple[Outside, ...]:
        paths = (self.settings.path, self.settings.latency)
        return tuple(Outside.all_of(path) for path in paths if path is not None)

    @classmethod
    def frame(cls, settings: AnySettings) -> Frame:
        table = _of(settings).table()
        return table.space.datasets[table.query.dataset].frame

    @classmethod
    def metrics(cls, settings: AnySettings) -> Mapping[str, Metric]:
        """``latency`` in milliseconds of a network without its dead operations; infinite where it is not known."""
        look_up = _latencies(_of(settings))
        if look_up is None:
            return {}
        digits = _of(settings).table().space.digits
        return {LATENCY: lambda network: look_up(digits(canonical(network)))}

    def measure(self, proposals: Sequence[Proposal]) -> list[Measurement | None]:
        return [self._measure(each.source, each.network) for each in proposals]

    def assess(self, network: Network, split: Split) -> Assessment:
        """On selection the mean over the trainings, whatever a query gives."""
        found, facts = self._find(network), self.table.space.datasets[self.table.query.dataset]
        if split == "test":
            return Assessment(found.test, facts.test)
        return Assessment(found.mean, facts.validation)

    def summary(self) -> dict[str, Any]:
        table = self.table
        facts = table.space.datasets[table.query.dataset]
        return {
            "name": f"{table.space.title}, {table.query.dataset} after {table.query.epochs} epochs",
            "shape": list(facts.input),
            "classes": facts.classes,
            "splits": {"selection": facts.validation, "test": facts.test},
            "seed": self.settings.seed,
            "queries": len(self.queries),
        }

    def state(self) -> State:
        return {"queries": sorted(self.queries)}

    def restore(self, state: State) -> None:
        self.queries = set(state["queries"])

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
        """None where there is no training with the seed that was asked for."""
        found, name, wanted = self._find(network), key(network), self.settings.seed
        self.queries.add(name)
        if wanted == "mean":
            return found.mean
        if wanted == "draw":
            seeds = sorted(found.validation)
            wanted = seeds[derive(self.bench.seed, "table", name) % len(seeds)]
        return found.validation.get(wanted)

    def _find(self, network: Network) -> Trained:
        return self.table.find(self.table.space.digits(network if network in self._inputs else canonical(network)))


def _of(settings: AnySettings) -> TableSettings:
    assert isinstance(settings, TableSettings)
    return settings


def _latencies(settings: TableSettings) -> Callable[[str], float] | None:
    """What gives the latency of a network by its digits; None if there is none."""
    if settings.latency is None:
        return settings.table().latency if settings.table().has_latency else None
    table, known = settings.table(), read_latencies(settings.latency, settings.device)
    if table.space is not NB201:
        raise NATError(f"{settings.latency}: latencies are known of {NB201.title} alone")

    def look_up(digits: str) -> float:
        number = table.number(digits)
        if number is None:
            raise NATError(f"{settings.latency}: {settings.path} does not say which network has which number in there")
        return known.get(number, math.inf)

    return look_up
