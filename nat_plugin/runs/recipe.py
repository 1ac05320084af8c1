"""Recipes: what a run does, as YAML held to a schema. All mistakes are reported at once."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, Field, ValidationError, field_validator

from nat_plugin.data import DataSettings
from nat_plugin.errors import NATError, NATErrors
from nat_plugin.ir import Budget, find_rule
from nat_plugin.plugins import Plugins
from nat_plugin.sources import read_text
from nat_plugin.strategies.base import Settings
from nat_plugin.training.schedule import Schedule

MAX_BYTES = 2**20


class NetworkSettings(Settings):
    """What surrounds the cells while searching and training. Image size and classes come from the data."""

    channels: int | None = Field(
        default=None, ge=1, le=4096, description="channels of the first cells; left out: the format's own"
    )
    cells: int | None = Field(default=None, ge=1, le=1000, description="cells in depth; left out: the format's own")


class SearchSettings(Settings):
    """How long to search."""

    warmup: int = Field(
        default=0, ge=0, description="steps on shared weights, on inputs and random moves, before the first round"
    )
    rounds: int = Field(default=50, ge=0, description="rounds: ask the strategy, train on its proposals, measure them")
    proposals: int = Field(default=16, ge=1, description="proposals per round")
    steps: int = Field(default=16, ge=0, description="steps on shared weights per round: inputs and proposals in turn")
    checkpoint: int = Field(default=1, ge=1, description="rounds between checkpoints")


class FinalSettings(Settings):
    """The last stage: the input and the best proposals are trained from scratch before one is chosen."""

    network: NetworkSettings | None = Field(
        default=None,
        description="another size to train in, for which the budget holds; left out: that of the search",
    )
    candidates: int = Field(default=3, ge=1, le=100, description="proposals to train beside the input")
    seeds: int = Field(default=1, ge=1, le=100, description="trainings of each")
    schedule: Schedule = Field(default=Schedule(), description="how each is trained")
    checkpoint: int = Field(default=1, ge=1, description="epochs between checkpoints")


class Recipe(Settings):
    """A whole run."""

    source: str = Field(description="the architecture: a literal, a file, file.py:NAME or a published name")
    adapter: str | None = Field(default=None, description="format of the source; left out: guessed where only one fits")
    extended: bool = Field(
        default=False, description="allow null where the format cannot say it; the result is network JSON then"
    )
    network: NetworkSettings = Field(default=NetworkSettings(), description="around the cells")
    rules: str = Field(default="nat", description="rules of transition")
    budget: dict[str, str | int | float] = Field(
        default={"params": "1.0x", "macs": "1.0x"},
        description="hard limits by metric: 0.9x of the input, 60%, 2.5M",
    )
    strategy: dict[str, Any] = Field(default={"name": "nat"}, description="a strategy and its settings")
    evaluator: dict[str, Any] = Field(default={"name": "supernet"}, description="an evaluator, its data, its settings")
    search: SearchSettings = Field(default=SearchSettings(), description="how long to search")
    final: FinalSettings | None = Field(default=None, description="real training before the choice; left out: none")
    seed: int = Field(default=0, ge=0, lt=2**31, description="everything random follows from it")
    threads: int | None = Field(default=None, ge=1, le=1024, description="on the CPU; left out: as torch has it")
    device: str = Field(default="auto", description="auto, cpu, cuda or cuda:N")
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto", description="of forward passes"
    )

    @property
    def strategy_name(self) -> str:
        return str(self.strategy.get("name", "nat"))

    @property
    def evaluator_name(self) -> str:
        return str(self.evaluator.get("name", "supernet"))

    @field_validator("rules")
    @classmethod
    def _known_rules(cls, value: str) -> str:
        _reraise(find_rule, value)
        return value

    @field_validator("budget")
    @classmethod
    def _known_budget(cls, value: dict[str, Any]) -> dict[str, Any]:
        _reraise(Budget.parse, value)
        return value


class Plan(Settings):
    """A recipe with the settings of its strategy, evaluator and data checked and filled in."""

    recipe: Recipe
    strategy: Any
    evaluator: Any
    data: DataSettings

    def resolved(self) -> dict[str, Any]:
        """The recipe with every default spelled out, as plain values."""
        out = self.recipe.model_dump(mode="json")
        out["strategy"] = {"name": self.recipe.strategy_name, **self.strategy.model_dump(mode="json")}
        data = self.data.model_dump(mode="json")
        out["evaluator"] = {"name": self.recipe.evaluator_name, "data": data, **self.evaluator.model_dump(mode="json")}
        return out


def _reraise(check: Any, value: Any) -> None:
    try:
        check(value)
    except NATError as error:
        raise ValueError(str(error)) from None


class _Loader(yaml.SafeLoader):
    """Safe YAML without aliases (no bombs) and without repeated keys."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            line = self.peek_event().start_mark.line + 1  # type: ignore[no-untyped-call]
            raise NATError(f"line {line}: YAML aliases (*name) are not allowed")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise NATError(f"line {node.start_mark.line + 1}: key '{key}' stands twice")
        return super().construct_mapping(node, deep)


def parse_yaml(text: str, label: str) -> Any:
    """Plain values from YAML. NATError, naming the line, for anything unsafe or malformed."""
    if len(text) > MAX_BYTES:
        raise NATError(f"{label}: {len(text):,} characters are more than a recipe can have")
    try:
        return yaml.load(text, Loader=_Loader)
    except NATError as error:
        raise NATError(f"{label}: {error}") from None
    except RecursionError:
        raise NATError(f"{label}: nested too deeply") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise NATError(f"{label}: {where}{getattr(error, 'problem', None) or error}") from None
    except ValueError as error:
        raise NATError(f"{label}: {error}") from None


def load_recipe(name: str, overrides: Iterable[str], plugins: Plugins) -> Plan:
    """A recipe file, or one that ships, with ``key=value`` overrides. NATErrors lists everything that is wrong."""
    path = Path(name)
    if not path.is_file():
        if name not in plugins.recipes:
            known = ", ".join(sorted(plugins.recipes))
            raise NATError(f"'{name}' is neither a file nor a recipe that ships; recipes: {known}")
        path = plugins.recipes[name]
    values = parse_yaml(read_text(path), str(path))
    if not isinstance(values, dict):
        raise NATError(f"{path}: a recipe is a mapping of keys to values")
    for override in overrides:
        _set(values, override)
    return plan(values, plugins)


def _set(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise NATError(f"--set {override[:60]!r}: write key=value, as in --set strategy.name=random")
    *parents, last = key.split(".")
    for parent in parents:
        inner = values.get(parent)
        if inner is None:
            inner = values[parent] = {}
        if not isinstance(inner, dict):
            raise NATError(f"--set {key}: '{parent}' is not a group of settings")
        values = inner
    values[last] = parse_yaml(text, f"--set {key}")


def plan(values: Mapping[str, Any], plugins: Plugins) -> Plan:
    """Check plain values against the schema, and the parts against the plugins that they name."""
    mistakes: list[str] = []
    recipe = _validate(Recipe, values, "", mistakes)
    strategy_values = {"name": "nat", **_mapping(values, "strategy")}
    evaluator_values = {"name": "supernet", **_mapping(values, "evaluator")}
    data = _validate(DataSettings, evaluator_values.pop("data", None) or {}, "evaluator.data", mistakes)
    strategy = _part("strategies", "strategy", strategy_values, plugins, mistakes)
    evaluator = _part("evaluators", "evaluator", evaluator_values, plugins, mistakes)
    if data is not None and data.name not in plugins.datasets:
        mistakes.append(f"evaluator.data.name: unknown '{data.name}'; allowed: {', '.join(sorted(plugins.datasets))}")
    if mistakes or recipe is None or data is None:
        raise NATErrors(mistakes)
    return Plan(recipe=recipe, strategy=strategy, evaluator=evaluator, data=data)


def _mapping(values: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The group under a key; empty where it is missing or no group, which the schema reports."""
    found = values.get(key)
    return dict(found) if isinstance(found, dict) else {}


def _part(what: str, label: str, values: dict[str, Any], plugins: Plugins, mistakes: list[str]) -> Settings | None:
    name = values.pop("name", None)
    known = getattr(plugins, what)
    if name not in known:
        mistakes.append(f"{label}.name: {name!r} is not known; allowed: {', '.join(sorted(known))}")
        return None
    return _validate(known[name].Settings, values, label, mistakes)


_M = typing.TypeVar("_M", bound=BaseModel)


def _validate(model: type[_M], values: Any, label: str, mistakes: list[str]) -> _M | None:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        for each in error.errors():
            mistakes.append(_mistake(model, label, each))
        return None


def _mistake(model: type[BaseModel], label: str, error: Any) -> str:
    loc = [str(part) for part in error["loc"]]
    where = ".".join([label, *loc] if label else loc)
    if error["type"] == "extra_forbidden":
        allowed = _fields(model, loc[:-1])
        near = difflib.get_close_matches(loc[-1], allowed, 1)
        guess = f"; did you mean '{near[0]}'?" if near else ""
        return f"{where}: unknown key{guess} (allowed: {', '.join(sorted(allowed))})"
    message = error["msg"].removeprefix("Value error, ")
    given = "" if error["type"] == "missing" else f" (got {str(error['input'])[:60]!r})"
    return f"{where}: {message}{given}"


def _fields(model: type[BaseModel], path: list[str]) -> list[str]:
    for name in path:
        field = model.model_fields.get(name)
        inner = _model_in(field.annotation) if field else None
        if inner is None:
            return []
        model = inner
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return next((found for each in typing.get_args(annotation) if (found := _model_in(each))), None)
    return None
