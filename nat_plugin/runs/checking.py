"""Values of a recipe held to a schema: every mistake becomes a line that says where, what, and what is allowed."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from nat_plugin.data import DataSettings
from nat_plugin.errors import NATError, NATErrors
from nat_plugin.evaluators.base import Evaluator
from nat_plugin.ir import Budget
from nat_plugin.ir.budget import METRICS
from nat_plugin.plugins import Plugins

_M = typing.TypeVar("_M", bound=BaseModel)


def validate(model: type[_M], values: Any, label: str, mistakes: list[str]) -> _M | None:
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
    is_of_group = error["type"] == "value_error" and isinstance(error["input"], Mapping)  # which keys, the message says
    given = "" if error["type"] == "missing" or is_of_group else f" (got {str(error['input'])[:60]!r})"
    return f"{where}: {message}{given}" if where else f"{message}{given}"


def checked_settings(
    model: type[_M], values: Mapping[str, Any], label: str, defaults: Mapping[str, Any] = types.MappingProxyType({})
) -> _M:
    """Settings of a model of pydantic, made of ``values``. NATErrors with every mistake in them, each after
    ``label``."""
    if not isinstance(values, Mapping):
        raise NATError(f"{label} is {str(values)[:40]!r}: give a dict of settings")
    mistakes: list[str] = []
    settings = validate(model, {**defaults, **values}, label, mistakes)
    if settings is None:
        raise NATErrors(mistakes)
    return settings


def unknown(name: Any, allowed: Iterable[str]) -> str:
    """That a name is none of those allowed, which one it may be meant for, and all of them."""
    names = sorted(allowed)
    near = difflib.get_close_matches(name, names, 1) if isinstance(name, str) else []
    guess = f" (did you mean '{near[0]}'?)" if near else ""
    return f"{str(name)[:60]!r} is not known{guess}; allowed: {', '.join(names)}"


def _fields(model: type[BaseModel], path: list[str]) -> list[str]:
    """The keys of the group at a path; a name or number within a mapping or list of groups is passed over."""
    within = False
    for name in path:
        if within:
            within = False
            continue
        field = model.model_fields.get(name)
        inner = _model_in(field.annotation) if field else None
        if field is None or inner is None:
            return []
        model, within = inner, typing.get_origin(field.annotation) in (dict, list)
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if typing.get_origin(annotation) in (typing.Union, types.UnionType, dict, list):
        return next((found for each in typing.get_args(annotation) if (found := _model_in(each))), None)
    return None


def mapping(values: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The group under a key; empty where it is missing or no group, which the schema reports."""
    found = values.get(key)
    return dict(found) if isinstance(found, dict) else {}


def check_adapter(given: Any, plugins: Plugins, mistakes: list[str]) -> None:
    """Hold an adapter and its settings to what there is; one of another form the schema reports."""
    if isinstance(given, str):
        given = {"name": given}
    if isinstance(given, dict):
        check_part("adapters", "adapter", dict(given), plugins, mistakes)


def check_part(
    kind: str,
    label: str,
    values: dict[str, Any],
    plugins: Plugins,
    mistakes: list[str],
    also: Collection[str] = (),
) -> Any:
    """The settings of a part, by the ``Settings`` of what ``name`` says; None where something is wrong. ``also``: names
    that can be given here beside those of the plugins; they have no settings."""
    name = values.pop("name", None)
    known = getattr(plugins, kind)
    if name in also and values:
        mistakes.append(f"{label}: '{name}' has no settings; leave out {', '.join(map(str, values))}")
    if name in also:
        return None
    if not isinstance(name, str) or name not in known:
        mistakes.append(f"{label}.name: {unknown(name, [*known, *also])}")
        return None
    return validate(known[name].Settings, values, label, mistakes)


def check_data(kind: type[Evaluator] | None, given: Any, plugins: Plugins, mistakes: list[str]) -> DataSettings | None:
    """The settings of the images; None where there are none, or where they are wrong."""
    if kind is not None and not kind.on_images:
        if given is not None:
            mistakes.append("evaluator.data: this evaluator has no images; leave it out")
        return None
    if kind is not None and not kind.needs_images and given is None:
        return None
    data = validate(DataSettings, given or {}, "evaluator.data", mistakes)
    if data is not None and data.name not in plugins.datasets:
        mistakes.append(f"evaluator.data.name: {unknown(data.name, plugins.datasets)}")
    return data


def check_budget(budget: Any, kind: type[Evaluator] | None, costs: Mapping[str, Any], mistakes: list[str]) -> None:
    """Hold a budget to the metrics that there are with an evaluator and tables of costs; one of another form the schema
    reports."""
    mistakes += [f"costs: {name} are counted, not looked up; leave them out" for name in METRICS if name in costs]
    if not isinstance(budget, dict) or not all(isinstance(each, str | int | float) for each in budget.values()):
        return
    looked_up = (*(kind.metric_names if kind else ()), *map(str, costs))
    metrics = {**METRICS, **dict.fromkeys(looked_up, METRICS["macs"])}
    try:
        Budget.parse(budget, metrics)
    except NATError as error:
        mistakes.append(str(error))
