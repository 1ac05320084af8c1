"""Recipes of comparisons: several strategies, equal queries. All mistakes are reported at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import Field, model_validator

from nat_plugin.data import DataSettings
from nat_plugin.errors import NATError, NATErrors
from nat_plugin.evaluators.base import Evaluator
from nat_plugin.execution.choosing import check_executor, executor_values
from nat_plugin.messages import say_once
from nat_plugin.plugins import Plugins
from nat_plugin.runs.checking import check_adapter, check_budget, check_data, check_part, mapping, validate
from nat_plugin.runs.reading import read_values
from nat_plugin.runs.recipe import Common
from nat_plugin.settings import Settings

BASELINE = "random"
OPTIMUM = "optimum"
"""No label of a strategy: what goes by it is the best that can be reached."""


class ComparisonInputs(Settings):
    """The architectures β: a plain list of them, or a file with one in each line."""

    names: list[str] | None = Field(
        default=None,
        min_length=1,
        description="architectures as in a run; a plain list under `sources` is short for this",
    )
    file: str | None = Field(default=None, description="a text file with one architecture in each line")
    sample: int | None = Field(
        default=None,
        ge=1,
        le=10**9,
        description="number of lines to draw from those of the file that have a legal move; left out: all",
    )
    seed: int = Field(default=0, ge=0, lt=2**31, description="seed of the random sample of lines")

    @model_validator(mode="before")
    @classmethod
    def _plain_list(cls, value: Any) -> Any:
        return {"names": value} if isinstance(value, list) else value

    @model_validator(mode="after")
    def _one(self) -> ComparisonInputs:
        if (self.names is None) == (self.file is None):
            raise ValueError("give either a list of architectures, or file")
        if self.names is not None and self.sample is not None:
            raise ValueError("sample is for a file; leave it out")
        return self


class Comparison(Common):
    """A whole comparison."""

    sources: ComparisonInputs = Field(description="the architectures: [DARTS_V2, …], or {file: cells.txt, sample: 200}")
    strategies: dict[str, dict[str, Any]] = Field(
        min_length=1,
        description="settings by label; the label names the strategy, unless `name` in the settings does, so that two "
        "settings of one strategy can be compared",
    )
    queries: int = Field(
        default=100,
        ge=1,
        le=10**6,
        description="distinct networks measured for one input by one strategy with one seed",
    )
    seeds: int = Field(default=5, ge=1, le=10_000, description="searches of each strategy on each input")
    warmup: int = Field(
        default=0,
        ge=0,
        le=10**9,
        description="steps on shared weights before the first query, the same for all strategies; after that the "
        "weights are fixed",
    )
    batch: int = Field(default=1, ge=1, le=10_000, description="proposals that a strategy is asked for at a time")
    baseline: str = Field(default=BASELINE, description="label of the strategy that the others are tested against")
    regret: bool = Field(
        default=True,
        description="also find the reachable optimum, if measurements are looked up and the space is small",
    )


class ComparisonPlan(Settings):
    """A recipe with the settings of its strategies, evaluator and data checked and filled in."""

    recipe: Comparison
    names: dict[str, str]
    """Of the strategies, by label."""
    strategies: dict[str, Any]
    """Their settings, by label."""
    evaluator: Any
    executor: Any
    data: DataSettings | None

    def resolved(self) -> dict[str, Any]:
        """The recipe with every default spelled out, as plain values."""
        out = self.recipe.model_dump(mode="json")
        out["strategies"] = {
            label: {"name": self.names[label], **settings.model_dump(mode="json")}
            for label, settings in self.strategies.items()
        }
        data = {} if self.data is None else {"data": self.data.model_dump(mode="json")}
        out["evaluator"] = {"name": self.recipe.evaluator_name, **data, **self.evaluator.model_dump(mode="json")}
        out["executor"] = {"name": self.recipe.executor_name, **self.executor.model_dump(mode="json")}
        return out


def shares_weights(kind: type[Evaluator]) -> bool:
    """Whether an evaluator measures with weights that it learns along the way."""
    return kind.train is not Evaluator.train


def load_comparison(name: str, overrides: Iterable[str], plugins: Plugins) -> ComparisonPlan:
    """A recipe file, or one that ships, with ``key=value`` overrides. NATErrors lists everything that is wrong."""
    return plan_of_file(name, read_values(name, overrides, plugins), plugins)


def plan_of_file(name: str, values: Mapping[str, Any], plugins: Plugins) -> ComparisonPlan:
    """The plan that the values of a recipe file stand for, see ``load_comparison``."""
    if "strategies" not in values and "stages" in values:
        raise NATError(f"{name}: this recipe is of a training (it has 'stages'): use `nat train {name}`")
    if "strategies" not in values and ("strategy" in values or "source" in values):
        raise NATError(f"{name}: this recipe is of a run (it has no 'strategies'): use `nat run {name}`")
    return plan_comparison(values, plugins)


def plan_comparison(values: Mapping[str, Any], plugins: Plugins) -> ComparisonPlan:
    """Check plain values against the schema, and the parts against the plugins that they name."""
    mistakes: list[str] = []
    values = _renamed(values)
    recipe = validate(Comparison, values, "", mistakes)
    evaluator_values = {"name": "supernet", **mapping(values, "evaluator")}
    kind = plugins.evaluators.get(str(evaluator_values.get("name")))
    data = check_data(kind, evaluator_values.pop("data", None), plugins, mistakes)
    evaluator = check_part("evaluators", "evaluator", evaluator_values, plugins, mistakes)
    names: dict[str, str] = {}
    strategies: dict[str, Any] = {}
    for label, given in mapping(values, "strategies").items():
        settings = {"name": str(label), **given} if isinstance(given, dict) else {"name": str(label)}
        names[str(label)] = str(settings["name"])
        strategies[str(label)] = check_part("strategies", f"strategies.{label}", settings, plugins, mistakes)
    executor = check_executor(values.get("executor", {}), plugins, mistakes)
    if kind is not None and kind.untrained:
        mistakes.append("evaluator.name: this one trains nothing, so it has nothing to hold out; choose another")
    if OPTIMUM in names:
        mistakes.append(f"strategies.{OPTIMUM}: this label stands for the best that can be reached; choose another")
    check_adapter(values.get("adapter"), plugins, mistakes)
    check_budget(values.get("budget", {}), kind, mapping(values, "costs"), mistakes)
    if recipe is not None:
        if recipe.warmup and kind is not None and not shares_weights(kind):
            mistakes.append(f"warmup: evaluator '{recipe.evaluator_name}' has no shared weights; leave it out")
        if recipe.baseline != BASELINE and recipe.baseline not in names:
            mistakes.append(f"baseline: there is no strategy '{recipe.baseline}'; allowed: {', '.join(names)}")
    if mistakes or recipe is None:
        raise NATErrors(mistakes)
    return ComparisonPlan(
        recipe=recipe, names=names, strategies=strategies, evaluator=evaluator, executor=executor, data=data
    )


def _renamed(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """With the keys of today in the place of an older one."""
    if "processes" not in values:
        return values
    count = values["processes"]
    say_once(f"processes: {count} in a recipe is executor: {{workers: {count}}} now")
    others = {name: value for name, value in values.items() if name != "processes"}
    return {**others, "executor": {"workers": count, **executor_values(values.get("executor", {}))}}
