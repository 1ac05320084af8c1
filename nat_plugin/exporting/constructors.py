"""A module as the call that makes it: ``nn.Conv2d(8, 8, kernel_size=3, bias=False)``."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from nat_plugin.errors import NATError

_UNSAID = {"self", "device", "dtype"}


@dataclass(frozen=True)
class Argument:
    """What a constructor is given; ``named`` where it is given by name."""

    name: str
    value: Any
    default: Any = inspect.Parameter.empty

    @property
    def needed(self) -> bool:
        """Whether it has to be written down."""
        return self.default is inspect.Parameter.empty or not _same(self.value, self.default)


def arguments(module: nn.Module, kind: type[nn.Module]) -> tuple[Argument, ...]:
    """Those that make a module again, as its attributes say. What has no attribute is left out."""
    found = []
    for name, parameter in inspect.signature(kind).parameters.items():
        if name in _UNSAID or not hasattr(module, name):
            continue
        value = _plain(getattr(module, name))
        if name == "bias":
            value = value is not None and value is not False
        found.append(Argument(name, value, parameter.default))
    return tuple(found)


def call(name: str, given: tuple[Argument, ...]) -> str:
    """The text of a call: by position up to the first that is left out or has a default, then by name."""
    texts, by_name = [], False
    for argument in given:
        by_name = by_name or argument.default is not inspect.Parameter.empty
        if argument.needed:
            texts.append(f"{argument.name}={argument.value!r}" if by_name else repr(argument.value))
    return f"{name}({', '.join(texts)})"


def constructor(path: str, module: nn.Module, kind: type[nn.Module]) -> str:
    """The call that makes a layer of ``torch.nn``, tried out. NATError, naming ``path``, where there is none."""
    given = arguments(module, kind)
    code = call(f"nn.{kind.__name__}", given)
    if not _makes(kind, given, module):
        raise NATError(f"layer '{path}' ({type(module).__name__}) cannot be written as a layer of torch.nn: {code}")
    return code


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (tuple, list)):
        return tuple(_plain(each) for each in value)
    return value


def _same(value: Any, default: Any) -> bool:
    """Whether a value is the default, also if it was written out for each dimension."""
    return bool(value == default or (isinstance(value, tuple) and len(value) > 0 and set(value) == {default}))


def _makes(kind: type[nn.Module], given: tuple[Argument, ...], module: nn.Module) -> bool:
    """Whether a constructor gives such a layer."""
    try:
        made = kind(**{argument.name: argument.value for argument in given})
    except (TypeError, ValueError, RuntimeError, AssertionError):
        return False
    shapes = [{name: value.shape for name, value in each.state_dict().items()} for each in (made, module)]
    return shapes[0] == shapes[1] and made.extra_repr() == module.extra_repr()
