"""From the sources of a recipe to pools of networks: tables, journals of runs, networks that an evaluator scores."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nat_plugin.adapter import Adapter
from nat_plugin.data import DataSet, load
from nat_plugin.device import find_compute
from nat_plugin.errors import NATError
from nat_plugin.evaluators.base import Evaluator, EvaluatorContext
from nat_plugin.evaluators.proxies.cache import Scored, ScoredLike
from nat_plugin.evaluators.trial import Trial
from nat_plugin.fingerprints import Outside
from nat_plugin.ir import Moves, Network, NetworkSize, find_rule, is_connected, key
from nat_plugin.plugins import Plugins
from nat_plugin.policy.training.journals import pool_of_runs
from nat_plugin.policy.training.recipe import SourcePlan, SourceSettings, TrainingRecipe
from nat_plugin.policy.training.tables import pool_of_table
from nat_plugin.policy.training.tasks import NetworkPool
from nat_plugin.search.base import Proposal
from nat_plugin.settings import State
from nat_plugin.sources import find_source, read_text
from nat_plugin.training.seeds import derive_seed


def read_pool(
    name: str, source: SourceSettings, part: SourcePlan, recipe: TrainingRecipe, plugins: Plugins
) -> NetworkPool:
    """The networks of a source. NATError, naming it, for anything that is wrong."""
    try:
        if source.table is not None:
            return pool_of_table(part.evaluator)
        if source.runs is not None:
            return pool_of_runs(source.runs, plugins)
        return _of_evaluator(source, part, recipe, plugins)
    except NATError as error:
        raise NATError(f"sources.{name}: {error}") from error


@dataclass(frozen=True)
class SourceEvaluator:
    """The evaluator of a source, with the networks that it is given, as text and read."""

    evaluator: Evaluator
    adapter: Adapter
    read: list[tuple[str, Network]]
    data: DataSet | None

    @staticmethod
    def of(source: SourceSettings, part: SourcePlan, recipe: TrainingRecipe, plugins: Plugins) -> SourceEvaluator:
        assert source.evaluator is not None
        compute = find_compute(recipe.device)
        kind: type[Evaluator] = plugins.find("evaluators", str(source.evaluator["name"]))
        data = load(part.data, compute.device, plugins.datasets) if part.data is not None else None
        bare = (
            kind.network_size(part.evaluator) if data is None else NetworkSize(input=data.shape, classes=data.classes)
        )
        size = replace(bare, channels=source.network.channels, cells=source.network.cells)
        adapter, read = _networks(source, size, plugins)
        context = EvaluatorContext(
            tuple(network for _, network in read), find_rule(recipe.rules[0]), data, compute, recipe.seed, True,
            adapter.module,
        )  # fmt: skip
        return SourceEvaluator(kind(context, part.evaluator), adapter, read, data)


def _of_evaluator(source: SourceSettings, part: SourcePlan, recipe: TrainingRecipe, plugins: Plugins) -> NetworkPool:
    assert source.evaluator is not None
    found = SourceEvaluator.of(source, part, recipe, plugins)
    networks = _moved([network for _, network in found.read], source.moves, recipe)
    outside = (*(found.data.outside if found.data is not None else ()), *found.evaluator.outside)
    if isinstance(source.networks, Path):
        outside = (*outside, Outside.all_of(source.networks))

    def scored(number: int) -> Scored:
        text = next(text for text, own in found.read if own.differs_in_ops_only(networks[number]))
        return ScoredLike(text, found.adapter)(networks[number])

    measured = MeasuredPool(found.evaluator, networks)
    return NetworkPool(
        tuple(networks),
        measured.scores,
        known=False,
        what=f"scores of evaluator {source.evaluator['name']}",
        space=found.adapter.name,
        scored=scored,
        outside=outside,
        measured=measured,
    )


def _networks(source: SourceSettings, size: NetworkSize, plugins: Plugins) -> tuple[Adapter, list[tuple[str, Network]]]:
    """The networks of a source as they are given, with their texts. NATError names the line of a file that is wrong."""
    label = ""
    if isinstance(source.networks, Path):
        lines = enumerate(read_text(source.networks).splitlines(), start=1)
        texts = [(f"{source.networks}, line {number}: ", line.strip()) for number, line in lines if line.strip()]
    else:
        texts = [("", text) for text in source.networks or ()]
    adapter: Adapter | None = None
    found = []
    for label, text in texts:
        try:
            each = find_source(text, source.adapter, plugins)
            adapter = adapter or each.adapter
            if each.adapter.name != adapter.name:
                raise NATError(f"this is in format '{each.adapter.name}', those before in '{adapter.name}'")
            found.append((each.text, each.adapter.read(each.text, size)))
        except NATError as error:
            raise NATError(f"{label}{error}") from None
    if adapter is None:
        raise NATError(f"{source.networks}: there is no architecture in it")
    return adapter, found


def _moved(inputs: Sequence[Network], count: int, recipe: TrainingRecipe) -> list[Network]:
    """The inputs, and so many different networks by random legal moves of them, in turn under the rules."""
    rng = np.random.default_rng(derive_seed(recipe.seed, "moves"))
    found = {key(network): network for network in inputs if is_connected(network)}
    wanted, tries = len(found) + count, 0
    while len(found) < wanted and tries < 20 * count:
        network = inputs[tries % len(inputs)]
        rule = find_rule(recipe.rules[tries // len(inputs) % len(recipe.rules)])
        moves = Moves(network, rule)
        moved = moves.apply(moves.sample(rng))
        found.setdefault(key(moved), moved)
        tries += 1
    return list(found.values())


@dataclass(frozen=True, eq=False)
class MeasuredPool:
    """Networks of a source that an evaluator scores."""

    evaluator: Evaluator
    networks: Sequence[Network]

    @property
    def cheap(self) -> bool:
        return self.evaluator.cheap

    def scores(self, numbers: Sequence[int]) -> list[float | None]:
        return [None if each is None else _finite(each.score) for each in self.evaluator.measure(self._asked(numbers))]

    def trials(self, numbers: Sequence[int]) -> list[Trial]:
        return self.evaluator.trials(self._asked(numbers))

    def take(self, trial: Trial, found: State | None) -> None:
        self.evaluator.take(trial, found)

    def _asked(self, numbers: Sequence[int]) -> list[Proposal]:
        return [Proposal(number, self.networks[number], self.networks[number]) for number in numbers]


def _finite(score: float) -> float | None:
    return score if math.isfinite(score) else None


def outside_of(pools: Iterable[NetworkPool]) -> tuple[Outside, ...]:
    """Everything that was read of paths in a recipe."""
    return tuple(dict.fromkeys(outside for pool in pools for outside in pool.outside))
