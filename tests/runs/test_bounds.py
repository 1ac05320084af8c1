"""No number of a recipe, a comparison or an option is without its bounds: a count below zero is refused in one line."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from typing import Any

import click
import pytest
from annotated_types import Ge, Gt, Le, Lt
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from nat_plugin.cli import SUBCOMMANDS, nat
from nat_plugin.comparisons.recipe import Comparison
from nat_plugin.data import DataSettings
from nat_plugin.plugins import Plugins, installed
from nat_plugin.reference.recipes import models_of
from nat_plugin.runs.recipe import Recipe
from nat_plugin.settings import Settings

CHECKED_ELSEWHERE = {
    ("Common", "budget"): "Budget.parse",
    **{("SplitSettings", name): "a count or a share" for name in ("weights", "reward", "selection", "test")},
}
"""Fields whose numbers a validator of their own holds to bounds."""

Number: typing.TypeAlias = tuple[type[BaseModel], str, Any, tuple[object, ...]]
"""Schema, field, int or float, and what the annotation says of it."""


def schemas() -> set[type[BaseModel]]:
    """All that a recipe of either kind may have, of what ships, with the groups inside, and what else is set so."""
    found = Plugins([each for each in installed() if each[1].__name__.startswith("nat_")])
    parts = (found.strategies, found.evaluators, found.adapters)
    waiting: list[type[BaseModel]] = [Recipe, Comparison, DataSettings, *below(Settings)]
    waiting += [each.Settings for group in parts for each in group.values()]
    seen: set[type[BaseModel]] = set()
    while waiting:
        model = waiting.pop()
        if model not in seen:
            seen.add(model)
            waiting += [inner for field in model.model_fields.values() for inner in models_of(field.annotation)]
    return seen


def below(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for each in model.__subclasses__():
        yield from below(each)
        if each.__module__.startswith("nat_"):
            yield each


def numbers(annotation: Any, said: tuple[object, ...]) -> Iterator[tuple[Any, tuple[object, ...]]]:
    """Every int and float in an annotation, with its constraints."""
    if typing.get_origin(annotation) is typing.Annotated:
        inner, *more = typing.get_args(annotation)
        flat = [each for one in more for each in (one.metadata if isinstance(one, FieldInfo) else [one])]
        yield from numbers(inner, (*said, *flat))
    elif annotation in (int, float):
        yield annotation, said
    elif typing.get_origin(annotation) is not typing.Literal:
        union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
        for each in typing.get_args(annotation):
            yield from numbers(each, said if union else ())


def all_numbers() -> list[Number]:
    return [
        (model, name, kind, said)
        for model in sorted(schemas(), key=lambda model: model.__name__)
        for name, field in model.model_fields.items()
        if not any((base.__name__, name) in CHECKED_ELSEWHERE for base in model.__mro__)
        for kind, said in numbers(field.annotation, tuple(field.metadata))
    ]


NUMBERS = all_numbers()


def test_there_are_many() -> None:
    assert len(NUMBERS) > 90
    assert {"seeds", "rounds", "evaluations", "population", "latency_batch", "resolution"} <= {
        name for _, name, _, _ in NUMBERS
    }


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: f"{number[0].__name__}.{number[1]}")
def test_every_number_has_a_least_and_a_greatest_value(number: Number) -> None:
    said = number[3]
    assert any(isinstance(each, Ge | Gt) for each in said)
    assert any(isinstance(each, Le | Lt) for each in said)


@given(st.sampled_from(NUMBERS), st.integers(1, 10**12))
def test_a_number_below_its_least_value_is_refused_by_name(number: Number, below: int) -> None:
    model, name, kind, said = number
    least = max(each.ge if isinstance(each, Ge) else each.gt for each in said if isinstance(each, Ge | Gt))  # type: ignore[type-var]
    value = least - below if kind is int else float(least) - below / 1000  # type: ignore[operator, arg-type]
    for wrong in (value, -value if value > 0 else value):
        with pytest.raises(ValidationError) as caught:
            TypeAdapter(model).validate_python({name: wrong})
        assert name in {each["loc"][0] for each in caught.value.errors()}


def test_every_number_of_the_command_line_has_bounds() -> None:
    context = click.Context(nat)
    options = [
        (name, option)
        for name in SUBCOMMANDS
        for option in typing.cast(click.Command, nat.get_command(context, name)).params
        if isinstance(option.type, click.types.IntParamType | click.types.FloatParamType)
    ]
    assert len(options) > 8
    for name, option in options:
        assert isinstance(option.type, click.IntRange | click.FloatRange), f"{name} --{option.name}"
        assert option.type.min is not None, f"{name} --{option.name}"
        assert option.type.max is not None, f"{name} --{option.name}"
