"""The reference of recipes, made of their schema."""

from __future__ import annotations

import json
import types
import typing
from typing import Any

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from nat_plugin.comparisons.recipe import Comparison
from nat_plugin.data import DataSettings
from nat_plugin.plugins import Plugins
from nat_plugin.policy.training.recipe import TrainingRecipe
from nat_plugin.runs.recipe import Common, Recipe

_SIGNS = {Ge: ("≥", "ge"), Gt: (">", "gt"), Le: ("≤", "le"), Lt: ("<", "lt")}

_HEAD = """# Recipe reference

A recipe is a YAML file; `nat run FILE` runs it, `nat run NAME` one that ships (`nat recipes`), and
`--set KEY=VALUE` changes any key (`--set data.path=FOLDER` is short for `evaluator.data.path`). Unknown keys and wrong
values are all reported before anything starts.
This page is generated from the schema: `python -m nat_plugin.reference docs/reference`.

What a run writes, and how it is resumed: [the folder of a run](runs.md).
"""
_COMPARISON = (
    "What `nat compare` needs ([comparing strategies](../how-to/compare.md)): the keys of a recipe but for `source`, "
    "`strategy`, `search` and `final`, and these."
)
_TRAINING = (
    "What `nat train` needs ([a policy of your own](../how-to/own-policy.md)); `*` is the name of a task, or the "
    "number of a stage."
)


def models_of(annotation: Any) -> list[type[BaseModel]]:
    """The schemas inside an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for each in typing.get_args(annotation) for found in models_of(each)]


def _type(annotation: Any) -> str:
    if annotation is type(None):
        return "null"
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return ", ".join(str(each) for each in arguments)
    if origin is typing.Annotated:
        return _type(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(_type(each) for each in arguments))
    if models_of(annotation):
        return "group"
    names = {"str": "text", "int": "whole number", "float": "number", "bool": "true or false", "dict": "mapping"}
    name = getattr(origin or annotation, "__name__", str(annotation))
    return names.get(name.removeprefix("Strict").lower(), name.lower())


def _bounds(field: FieldInfo) -> str:
    found = []
    for each in field.metadata:
        if type(each) in _SIGNS:
            sign, name = _SIGNS[type(each)]
            found.append(f"{sign} {getattr(each, name):g}")
    return f" ({', '.join(found)})" if found else ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel) or (isinstance(value, list) and any(isinstance(each, BaseModel) for each in value)):
        return "see below"
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)


def _rows(model: type[BaseModel], prefix: str, known: type[BaseModel] = BaseModel) -> list[str]:
    """A line for every key that ``known`` does not have."""
    lines = []
    for name, field in model.model_fields.items():
        if name in known.model_fields:
            continue
        kind = _type(field.annotation) + _bounds(field)
        lines.append(f"| `{prefix}{name}` | {kind} | {_default(field)} | {_line(field.description or '')} |")
        each = "*." if typing.get_origin(field.annotation) in (dict, list) else ""
        for inner in models_of(field.annotation):
            lines += _rows(inner, f"{prefix}{name}.{each}")
    return lines


def _table(
    title: str, about: str, model: type[BaseModel], prefix: str, known: type[BaseModel] = BaseModel
) -> list[str]:
    head = ["", f"## {title}", "", about, "", "| key | value | default | meaning |", "|---|---|---|---|"]
    return [*head, *_rows(model, prefix, known)]


def recipes_page(found: Plugins) -> str:
    """The page, for the plugins at hand."""
    lines = [_HEAD.rstrip()]
    lines += _table("A recipe", "The keys at the top, and the groups that every recipe has.", Recipe, "")
    lines += _table("A comparison", _COMPARISON, Comparison, "", Common)
    lines += _table("A training", _TRAINING, TrainingRecipe, "")
    lines += _table("evaluator.data", "The images.", DataSettings, "evaluator.data.")
    for name, adapter in found.adapters.items():
        if adapter.Settings.model_fields:
            lines += _table(f"adapter: {name}", _first(type(adapter)), adapter.Settings, "adapter.")
    for name, strategy in found.strategies.items():
        lines += _table(f"strategy: {name}", _first(strategy), strategy.Settings, "strategy.")
    for name, evaluator in found.evaluators.items():
        lines += _table(f"evaluator: {name}", _first(evaluator), evaluator.Settings, "evaluator.")
    for name, executor in found.executors.items():
        lines += _table(f"executor: {name}", _first(executor), executor.Settings, "executor.")
    return "\n".join(lines) + "\n"


def _first(thing: type) -> str:
    """The first paragraph of a docstring."""
    return _line((thing.__doc__ or "").strip().split("\n\n")[0])


def _line(text: str) -> str:
    return " ".join(text.replace("``", "`").split())
