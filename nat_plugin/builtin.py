"""What ships with the core, registered through the hooks like anybody's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from nat_plugin.hookspecs import hookimpl

if TYPE_CHECKING:
    from nat_plugin.adapter import Adapter
    from nat_plugin.data import Loader
    from nat_plugin.evaluators.base import Evaluator
    from nat_plugin.execution.base import Executor
    from nat_plugin.search.base import Strategy


@hookimpl
def register_adapters(register: Callable[[Adapter], None]) -> None:
    from nat_plugin.network_json import NetworkJSON

    register(NetworkJSON())


@hookimpl
def register_strategies(register: Callable[[str, type[Strategy]], None]) -> None:
    from nat_plugin.search.evolution import EvolutionStrategy
    from nat_plugin.search.exhaustive import ExhaustiveStrategy
    from nat_plugin.search.greedy import GreedyStrategy
    from nat_plugin.search.hill_climb import HillClimbStrategy
    from nat_plugin.search.identity import IdentityStrategy
    from nat_plugin.search.knapsack.strategy import KnapsackStrategy
    from nat_plugin.search.nat.strategy import NATStrategy
    from nat_plugin.search.random_search import RandomStrategy
    from nat_plugin.search.rules.strategy import RuleStrategy
    from nat_plugin.search.surrogate.strategy import SurrogateStrategy

    register("nat", NATStrategy)
    register("random", RandomStrategy)
    register("hill_climb", HillClimbStrategy)
    register("evolution", EvolutionStrategy)
    register("surrogate", SurrogateStrategy)
    register("greedy", GreedyStrategy)
    register("knapsack", KnapsackStrategy)
    register("exhaustive", ExhaustiveStrategy)
    register("rule", RuleStrategy)
    register("identity", IdentityStrategy)


@hookimpl
def register_evaluators(register: Callable[[str, type[Evaluator]], None]) -> None:
    from nat_plugin.evaluators.proxies.evaluator import ProxiesEvaluator
    from nat_plugin.evaluators.supernet import SupernetEvaluator
    from nat_plugin.evaluators.table.evaluator import TableEvaluator
    from nat_plugin.evaluators.training import TrainingEvaluator

    register("supernet", SupernetEvaluator)
    register("training", TrainingEvaluator)
    register("table", TableEvaluator)
    register("proxies", ProxiesEvaluator)


@hookimpl
def register_executors(register: Callable[[str, type[Executor]], None]) -> None:
    from nat_plugin.execution.local import LocalExecutor
    from nat_plugin.execution.ray import RayExecutor
    from nat_plugin.execution.submitit import SubmititExecutor

    register("local", LocalExecutor)
    register("ray", RayExecutor)
    register("submitit", SubmititExecutor)


@hookimpl
def register_datasets(register: Callable[[str, Loader], None]) -> None:
    from nat_plugin.data import LOADERS

    for name, loader in LOADERS.items():
        register(name, loader)


@hookimpl
def register_recipes(register: Callable[[Path], None]) -> None:
    inside = Path(__file__).parent / "recipes"
    beside = Path(__file__).parent.parent / "recipes"  # an editable install leaves them where they are
    for path in sorted((inside if inside.is_dir() else beside).glob("*.yaml")):
        register(path)
