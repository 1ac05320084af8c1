"""Recipes: what a run does, as YAML held to a schema. All mistakes are reported at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import Field, field_validator

from nat_plugin.data import DataSettings
from nat_plugin.errors import NATError, NATErrors
from nat_plugin.execution.choosing import check_executor, executor_values
from nat_plugin.fingerprints import OutsidePath
from nat_plugin.ir import find_rule
from nat_plugin.parallel.settings import PRECISIONS, FabricSettings
from nat_plugin.plugins import Plugins
from nat_plugin.runs.checking import check_adapter, check_budget, check_data, check_part, mapping, validate
from nat_plugin.runs.reading import read_values
from nat_plugin.settings import Settings
from nat_plugin.tracking.base import TrackerName, check_tracker
from nat_plugin.training.schedule import Schedule


class NetworkSettings(Settings):
    """What surrounds the cells while searching and training. Image size and classes come from the data."""

    channels: int | None = Field(
        default=None, ge=1, le=4096, description="channels of the first cells; left out: the format's own"
    )
    cells: int | None = Field(default=None, ge=1, le=1000, description="cells in depth; left out: the format's own")


class SearchSettings(Settings):
    """How long to search."""

    warmup: int = Field(
        default=0,
        ge=0,
        le=10**9,
        description="steps on shared weights, on inputs and random moves, before the first round",
    )
    rounds: int = Field(
        default=50, ge=0, le=10**9, description="rounds: ask the strategy, train on its proposals, measure them"
    )
    proposals: int = Field(default=16, ge=1, le=100_000, description="proposals per round")
    steps: int = Field(
        default=16, ge=0, le=10**9, description="steps on shared weights per round: inputs and proposals in turn"
    )
    checkpoint: int = Field(default=1, ge=1, le=10**9, description="rounds between checkpoints")


class FinalSettings(Settings):
    """The last stage: the input and the best proposals are trained (from scratch, unless the evaluator gives them
    weights to go on from) before one is chosen."""

    network: NetworkSettings | None = Field(
        default=None,
        description="another size to train in, for which the budget holds; left out: the size of the search",
    )
    candidates: int = Field(default=3, ge=1, le=100, description="proposals to train beside the input")
    seeds: int = Field(
        default=1,
        ge=1,
        le=100,
        description="trainings of each; with one, a difference may come from the training alone, so there is no "
        "verdict on the architectures; 3 to 5 show the spread between trainings, at 3 to 5 times the cost",
    )
    schedule: Schedule = Field(default=Schedule(), description="how each is trained")
    checkpoint: int = Field(default=1, ge=1, le=100_000, description="epochs between checkpoints")


def name_or_mapping(value: Any) -> Any:
    """What names a part. ValueError for a value of another form."""
    if not isinstance(value, str | dict):
        raise ValueError("give a name, or a mapping of a name and settings")
    return value


class Executed(Settings):
    """What can be carried out by workers."""

    executor: str | dict[str, Any] = Field(
        default={"name": "local"},
        description="where trainings and searches run: local, ray or submitit, or a mapping with its name and "
        "settings: {name: local, workers: 4}",
    )

    @property
    def executor_name(self) -> str:
        return str(executor_values(self.executor)["name"])

    @field_validator("executor", mode="before")
    @classmethod
    def _executor_of_a_form(cls, value: Any) -> Any:
        return name_or_mapping(value)


class Common(Executed):
    """What a run and a comparison of strategies both need to know."""

    adapter: str | dict[str, Any] | None = Field(
        default=None,
        description="format of the source, or a mapping of its name and settings; left out: guessed, if only one fits",
    )
    extended: bool = Field(
        default=False, description="allow null where the format cannot represent it; the result is network JSON then"
    )
    network: NetworkSettings = Field(default=NetworkSettings(), description="size of the network around the cells")
    rules: str = Field(
        default="nat", description="which operations may become which: nat, nat++, nat++equal, or rules of a plugin"
    )
    budget: dict[str, str | int | float] = Field(
        default={"params": "1.0x", "macs": "1.0x"},
        description="hard limits by metric: 0.9x of the input, 60%, 2.5M",
    )
    costs: dict[str, OutsidePath] = Field(
        default={},
        description="files with tables of costs by slot and op, from `nat measure` or your own, by metric, which "
        "`budget` can then limit: {latency: latency.json, energy: energy.json}",
    )
    evaluator: dict[str, Any] = Field(default={"name": "supernet"}, description="an evaluator, its data, its settings")
    seed: int = Field(default=0, ge=0, lt=2**31, description="seed of all random numbers")
    threads: int | None = Field(
        default=None, ge=1, le=1024, description="CPU threads; left out: torch's number when the run starts"
    )
    device: str = Field(default="auto", description="auto, cpu, cuda or cuda:N")
    precision: Literal["auto", "float32", "bfloat16", "float16", "float64"] = Field(
        default="auto",
        description="floating-point type of forward passes; with float64 also of weights and images, to exclude "
        "effects of rounding",
    )

    @property
    def floats(self) -> str:
        """The precision, whichever key says it."""
        return self.precision

    def processes(self, kind: str) -> int:
        """That train the same weights on this machine, on devices of a kind."""
        del kind
        return 1

    @property
    def evaluator_name(self) -> str:
        return str(self.evaluator.get("name", "supernet"))

    @field_validator("adapter", mode="before")
    @classmethod
    def _adapter_of_a_form(cls, value: Any) -> Any:
        return value if value is None else name_or_mapping(value)

    @field_validator("rules")
    @classmethod
    def _known_rules(cls, value: str) -> str:
        try:
            find_rule(value)
        except NATError as error:
            raise ValueError(str(error)) from None
        return value


class Recipe(Common):
    """A whole run."""

    source: str = Field(description="the architecture: a literal, a file, file.py:NAME or a published name")
    strategy: dict[str, Any] = Field(default={"name": "nat"}, description="a strategy and its settings")
    search: SearchSettings = Field(default=SearchSettings(), description="how long to search")
    final: FinalSettings | None = Field(
        default=None,
        description="the input and the best proposals are trained for real before the choice; left out: they are not, "
        "and the evaluator chooses (shared weights can make good inputs worse)",
    )
    deterministic: bool | None = Field(
        default=None,
        description="true: the strategy gets measurements in the order in which it asked for them, so that the result "
        "does not depend on the executor and the number of workers; false: in the order of arrival, so "
        "that no worker waits for the slowest of a round; left out: true with one worker, or if measuring "
        "is cheap",
    )
    fabric: FabricSettings | None = Field(
        default=None,
        description="several devices that train the same weights (supernet, adaptation, final stage): {devices: 8, "
        "nodes: 2}; left out: one device",
    )
    tracker: TrackerName = Field(
        default="none",
        description="also send the figures of rounds and epochs to a tracker: tensorboard writes FOLDER/events, "
        "mlflow to MLFLOW_TRACKING_URI; each is an extra (pip install 'nat-plugin[mlflow]')",
    )

    @field_validator("tracker")
    @classmethod
    def _installed(cls, value: TrackerName) -> TrackerName:
        try:
            check_tracker(value)
        except NATError as error:
            raise ValueError(str(error).removeprefix("tracker: ")) from None
        return value

    @property
    def floats(self) -> str:
        own = self.fabric.precision if self.fabric is not None else None
        return self.precision if own is None else PRECISIONS[own]

    def processes(self, kind: str) -> int:
        return 1 if self.fabric is None else self.fabric.count(kind) // self.fabric.nodes

    @property
    def strategy_name(self) -> str:
        return str(self.strategy.get("name", "nat"))


class RunPlan(Settings):
    """A recipe with the settings of its strategy, evaluator and data checked and filled in."""

    recipe: Recipe
    strategy: Any
    evaluator: Any
    data: DataSettings | None
    """None for an evaluator that needs no images."""
    executor: Any

    def resolved(self) -> dict[str, Any]:
        """The recipe with every default spelled out, as plain values."""
        out = self.recipe.model_dump(mode="json")
        if self.recipe.fabric is None:
            del out["fabric"]  # so that runs of one device are those that they were
        out["strategy"] = {"name": self.recipe.strategy_name, **self.strategy.model_dump(mode="json")}
        data = {} if self.data is None else {"data": self.data.model_dump(mode="json")}
        out["evaluator"] = {"name": self.recipe.evaluator_name, **data, **self.evaluator.model_dump(mode="json")}
        out["executor"] = {"name": self.recipe.executor_name, **self.executor.model_dump(mode="json")}
        return out


def load_recipe(name: str, overrides: Iterable[str], plugins: Plugins) -> RunPlan:
    """A recipe file, or one that ships, with ``key=value`` overrides. NATErrors lists everything that is wrong."""
    return plan_of_file(name, read_values(name, overrides, plugins), plugins)


def plan_of_file(name: str, values: Mapping[str, Any], plugins: Plugins) -> RunPlan:
    """The plan that the values of a recipe file stand for, see ``load_recipe``."""
    if "strategies" in values:
        raise NATError(f"{name}: this recipe is of a comparison (it has 'strategies'): use `nat compare {name}`")
    if "sources" in values and "source" not in values:
        raise NATError(f"{name}: this recipe is of a training (it has 'sources'): use `nat train {name}`")
    return plan(values, plugins)


def plan(values: Mapping[str, Any], plugins: Plugins) -> RunPlan:
    """Check plain values against the schema, and the parts against the plugins that they name."""
    mistakes: list[str] = []
    recipe = validate(Recipe, values, "", mistakes)
    strategy_values = {"name": "nat", **mapping(values, "strategy")}
    evaluator_values = {"name": "supernet", **mapping(values, "evaluator")}
    kind = plugins.evaluators.get(str(evaluator_values.get("name")))
    given = evaluator_values.pop("data", None)
    data = check_data(kind, given, plugins, mistakes)
    if kind is not None and values.get("final") is not None:
        if not kind.on_images:
            mistakes.append("final: this evaluator has no images; leave it out")
        elif given is None and not kind.needs_images:
            mistakes.append("final: it trains on images; say in evaluator.data on which, or leave it out")
    strategy = check_part("strategies", "strategy", strategy_values, plugins, mistakes)
    evaluator = check_part("evaluators", "evaluator", evaluator_values, plugins, mistakes)
    executor = check_executor(values.get("executor", {}), plugins, mistakes)
    check_adapter(values.get("adapter"), plugins, mistakes)
    check_budget(values.get("budget", {}), kind, mapping(values, "costs"), mistakes)
    if recipe is not None and recipe.precision not in ("auto", recipe.floats):
        mistakes.append(
            f"fabric.precision: it stands for {recipe.floats}, and precision is {recipe.precision}: say one"
        )
    if mistakes or recipe is None:
        raise NATErrors(mistakes)
    return RunPlan(recipe=recipe, strategy=strategy, evaluator=evaluator, data=data, executor=executor)
