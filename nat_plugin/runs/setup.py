"""From a checked recipe to the objects of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch

from nat_plugin.adapter import Adapter
from nat_plugin.data import DataSet, DataSettings, load
from nat_plugin.device import Compute, find_compute
from nat_plugin.errors import NATError
from nat_plugin.evaluators.base import Evaluator, EvaluatorContext, Split
from nat_plugin.evaluators.proxies.cache import ScoredLike
from nat_plugin.fingerprints import Outside
from nat_plugin.ir import Budget, Moves, Network, NetworkSize, Rule, find_rule, is_connected
from nat_plugin.ir.budget import METRICS, Metric
from nat_plugin.measuring.tables import table_metrics
from nat_plugin.parallel.ranks import ALONE, Ranks
from nat_plugin.plugins import Plugins
from nat_plugin.runs.recipe import Common, NetworkSettings, RunPlan
from nat_plugin.runs.record import RunSource
from nat_plugin.search.base import Strategy, Task
from nat_plugin.sources import find_adapter, find_source
from nat_plugin.writing import extended


@dataclass(frozen=True)
class SizedArchitecture:
    """The architecture at one size: its size, its network, the budget, and what may become of it within that."""

    size: NetworkSize
    network: Network
    budget: Budget
    moves: Moves

    @staticmethod
    def of(size: NetworkSize, network: Network, rule: Rule, budget: Budget) -> SizedArchitecture:
        return SizedArchitecture(size, network, budget, Moves(network, rule, budget.resolve(network)))


@dataclass(frozen=True)
class Setup:
    """Everything a run works with. ``search`` and ``final`` are the same architecture, perhaps at two sizes."""

    plan: RunPlan
    origin: RunSource
    adapter: Adapter
    search: SizedArchitecture
    final: SizedArchitecture
    data: DataSet | None
    compute: Compute
    strategy: Strategy
    evaluator: Evaluator

    def enlarge(self, network: Network) -> Network:
        """A network of the search at the size of the final stage."""
        return self.final.network.with_ops(network.ops)

    @property
    def untrained(self) -> bool:
        """Whether the result rests on nothing that was trained."""
        return self.evaluator.untrained and self.plan.recipe.final is None

    def chance(self, split: Split) -> float:
        """The accuracy on a split of whoever always says the same class."""
        if self.data is None:
            return 1 / self.final.network.head.classes
        labels = getattr(self.data, split).y
        return float(labels.bincount().max()) / len(labels)

    @property
    def outside(self) -> tuple[Outside, ...]:
        """Everything that was read of paths in the recipe."""
        data = self.data.outside if self.data is not None else ()
        tables = (Outside.all_of(path) for path in self.plan.recipe.costs.values())
        return (*data, *tables, *self.evaluator.outside, *self.strategy.outside)


_C = TypeVar("_C", bound=Common)
_OPEN = {"threads": None, "device": "auto", "precision": "auto"}
"""Keys of a recipe, and what leaves them to the machine."""


def compute_of(recipe: Common) -> Compute:
    """Where and how a recipe has computed. NATError for a device that is not there."""
    if recipe.floats == "float64":
        return replace(find_compute(recipe.device, "float32"), dtype=torch.float64)
    return find_compute(recipe.device, recipe.floats)


def settled(recipe: _C) -> _C:
    """A recipe in which is written down what this machine would decide, and what decides the last bits of a result: the
    number of threads, the device and the precision. NATError for a device that is not there."""
    compute = compute_of(recipe)
    found = {"device": str(compute.device), "precision": compute.precision_name}
    share = max(1, torch.get_num_threads() // recipe.processes(compute.device.type))
    return recipe.model_copy(update={**found, "threads": recipe.threads or share})


def settled_as(recipe: _C, before: Mapping[str, Any]) -> _C:
    """A recipe in which what it leaves open is as it was settled before."""
    left = {name: before[name] for name, value in _OPEN.items() if getattr(recipe, name) == value}
    return recipe.model_copy(update=left)


def find_origin(chosen: RunPlan, plugins: Plugins) -> RunSource:
    source = find_source(chosen.recipe.source, chosen.recipe.adapter, plugins)
    return RunSource(source.text, source.adapter.name, source.label)


def read_data(settings: DataSettings, device: torch.device, plugins: Plugins) -> DataSet:
    """The images of a run."""
    return load(settings, device, plugins.datasets)


def set_up(
    chosen: RunPlan,
    origin: RunSource,
    plugins: Plugins,
    read: Callable[[DataSettings, torch.device, Plugins], DataSet] = read_data,
    ranks: Ranks = ALONE,
) -> Setup:
    """Build the parts of a run. NATError for anything about the architecture, the data or the budget that is wrong.

    ``read``: where images come from, for whoever sets up many runs on the same ones. ``ranks``: the processes that
    train the weights of this run.
    """
    recipe = chosen.recipe
    if recipe.threads is not None:
        torch.set_num_threads(recipe.threads)
    found = compute_of(recipe)
    compute = replace(found, device=ranks.device(found.device), ranks=ranks)
    kind: type[Evaluator] = plugins.find("evaluators", recipe.evaluator_name)
    data = read(chosen.data, compute.device, plugins) if chosen.data is not None else None
    bare = kind.network_size(chosen.evaluator) if data is None else NetworkSize(input=data.shape, classes=data.classes)
    adapter = find_adapter(recipe.adapter or origin.adapter, plugins)
    rule = find_rule(recipe.rules)
    tables = table_metrics(recipe.costs)
    metrics: dict[str, Metric] = {**kind.metrics(chosen.evaluator), **tables}
    for name in set(kind.metric_names).intersection(recipe.budget).difference(metrics):
        raise NATError(
            f"budget.{name}: it is measured only where the settings of evaluator '{recipe.evaluator_name}' say how "
            f"(evaluator.{name}…), or by a table (costs.{name}); see docs/reference/recipes.md"
        )
    budget = Budget.parse(recipe.budget, {**METRICS, **metrics})

    def network_at(wanted: NetworkSettings) -> tuple[NetworkSize, Network]:
        size = replace(bare, channels=wanted.channels or bare.channels, cells=wanted.cells or bare.cells)
        network = adapter.read(origin.text, size)
        _check_size(network, bare)
        for table in tables.values():
            table.check(network, rule, adapter.identity(network))
        return size, extended(network) if recipe.extended else network

    size, network = network_at(recipe.network)
    if not is_connected(network):
        hint = "`nat transform` makes one that does" if network.slots else "nothing can be made of it"
        raise NATError(f"'{origin.label}': the output of this architecture does not depend on its input; {hint}")
    own_size = recipe.final.network if recipe.final else None
    if own_size is None:
        search = final = SizedArchitecture.of(size, network, rule, budget)
    else:
        large_size, large = network_at(own_size)
        final = SizedArchitecture.of(large_size, large, rule, budget)
        budget = budget.relative_to(large)
        search = SizedArchitecture.of(size, network, rule, budget)
    if search.moves.count == 1:
        raise NATError(f"'{origin.label}': rules '{rule.name}' allow no move on this architecture")
    planned = recipe.search.rounds * recipe.search.proposals
    task = Task((network,), rule, budget, recipe.seed, planned, compute.device, ScoredLike(origin.text, adapter))
    strategy: Strategy = plugins.find("strategies", recipe.strategy_name)(task, chosen.strategy)

    def resized(channels: int | None, cells: int | None) -> Network:
        own = recipe.network
        return network_at(NetworkSettings(channels=channels or own.channels, cells=cells or own.cells))[1]

    context = EvaluatorContext(
        (network,),
        rule,
        data,
        compute,
        recipe.seed,
        strategy.rewires,
        adapter.module,
        resized,
    )
    return Setup(chosen, origin, adapter, search, final, data, compute, strategy, kind(context, chosen.evaluator))


def _check_size(network: Network, wanted: NetworkSize) -> None:
    if network.input != wanted.input or network.head.classes != wanted.classes:
        raise NATError(
            f"the architecture takes images of {network.input} in {network.head.classes} classes, "
            f"the data are of {wanted.input} in {wanted.classes}"
        )
