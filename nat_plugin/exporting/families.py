"""Modules that differ in numbers alone as calls of one function: ``sep_conv_3x3(36, 1)`` for what it returns."""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from torch import nn

from nat_plugin.exporting.constructors import Argument, arguments, call
from nat_plugin.exporting.tracing import layer_class
from nat_plugin.nets import blocks

WIDTH = 110
_ROLES = {"in_channels": "c_in", "out_channels": "c_out", "num_features": "channels", "kernel_size": "kernel"}


@dataclass(frozen=True)
class ConstructorCall:
    """The call that makes a module: with its arguments, or with the modules inside it."""

    name: str
    arguments: tuple[Argument, ...] = ()
    inside: tuple[ConstructorCall, ...] = ()

    def text(self, indent: int = 0) -> str:
        """In one line where it is short, without the indent of that."""
        if not self.inside:
            return call(self.name, self.arguments)
        line = f"{self.name}({', '.join(each.text() for each in self.inside)})"
        if len(line) + indent <= WIDTH - 30:
            return line
        inner = "".join(f"{' ' * (indent + 4)}{each.text(indent + 4)},\n" for each in self.inside)
        return f"{self.name}(\n{inner}{' ' * indent})"

    def numbers(self) -> Iterator[Argument]:
        """The arguments that are numbers or tuples of them, in order."""
        yield from (argument for argument in self.arguments if _is_number(argument.value))
        for each in self.inside:
            yield from each.numbers()

    def with_numbers(self, values: Iterator[Any]) -> ConstructorCall:
        """The same call with other values in place of ``numbers``."""
        own = tuple(replace(each, value=next(values)) if _is_number(each.value) else each for each in self.arguments)
        return ConstructorCall(self.name, own, tuple(each.with_numbers(values) for each in self.inside))

    @property
    def shape(self) -> ConstructorCall:
        """What calls have in common that differ in numbers alone."""
        return self.with_numbers(iter([0] * len(list(self.numbers()))))

    def names(self) -> Iterator[str]:
        """All that is called."""
        yield self.name
        for each in self.inside:
            yield from each.names()


def made(module: nn.Module) -> ConstructorCall:
    """The call that makes a module of layers of torch and of ``nets.blocks``."""
    if isinstance(module, nn.Sequential):
        return ConstructorCall("nn.Sequential", inside=tuple(map(made, module)))
    if isinstance(module, blocks.Residual):
        return ConstructorCall("Residual", inside=(made(module.body),))
    own = type(module).__module__ == blocks.__name__
    kind = type(module) if own else layer_class(module)
    assert kind is not None, f"{type(module)} is no layer"
    given = arguments(module, kind)
    if own:
        return ConstructorCall(kind.__name__, given)
    return ConstructorCall(f"nn.{kind.__name__}", tuple(replace(each, value=_short(each.value)) for each in given))


@dataclass(frozen=True)
class Family:
    """Calls of one shape. The numbers that are not the same in all of them are the arguments of a function."""

    name: str
    members: tuple[ConstructorCall, ...]

    def function(self) -> str:
        """Its text."""
        first, names = self.members[0], self._variables
        values = (_Variable(name) if name else each.value for name, each in zip(names, first.numbers(), strict=True))
        given = ", ".join(dict.fromkeys(filter(None, names)))
        return f"def {self.name}({given}):\n    return {first.with_numbers(values).text(4)}"

    def call(self, member: ConstructorCall) -> str:
        """How one of its members is made."""
        found = {name: each.value for name, each in zip(self._variables, member.numbers(), strict=True) if name}
        return f"{self.name}({', '.join(map(repr, found.values()))})"

    @cached_property
    def _variables(self) -> tuple[str | None, ...]:
        """By number, the argument that it is; None where it is the same in all members."""
        columns = list(zip(*([each.value for each in member.numbers()] for member in self.members), strict=True))
        roles: dict[tuple[Any, ...], list[str]] = {}
        for column, number in zip(columns, self.members[0].numbers(), strict=True):
            if len(set(column)) > 1:
                roles.setdefault(column, []).append(_ROLES.get(number.name, number.name))
        names: dict[tuple[Any, ...], str] = {}
        outer = next((column for column, found in roles.items() if "c_in" in found), None)
        for column, found in roles.items():
            best = next((each for each in ("c_out", "c_in") if each in found), found[0])
            if {"c_in", "c_out"} <= set(found):
                best = "channels" if column == outer else "hidden"
            names[column] = fresh(best, names.values())
        return tuple(names.get(column) for column in columns)


class _Variable(str):
    """Stands in a text where a number would."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def fresh(label: str, taken: Collection[str]) -> str:
    """A name of Python that is not taken yet, from any text."""
    name = re.sub(r"\W", "_", label, flags=re.ASCII) or "_"
    if name[0].isdigit() or keyword.iskeyword(name):
        name = f"_{name}"
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name}_{number}"
    return found


def _is_number(value: Any) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool)) or (
        isinstance(value, tuple) and all(isinstance(each, int) for each in value)
    )


def _short(value: Any) -> Any:
    """One number for a tuple of equal ones, as torch takes it."""
    return value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value
