"""How large a model may be that a text asks for: it is refused before it takes a machine's time and memory."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nat_plugin import NATError
from nat_plugin.ir import Shape

if TYPE_CHECKING:  # a text is looked at without it
    from torch import nn

MAX_NUMBER, MAX_SUM = 10_000, 100_000
"""Of the numbers in ``model_args`` (widths, depths, sizes, those in strings of blocks too): the largest, and all."""
MAX_CLASSES, MAX_SIDE = 1_000_000, 4_096
"""Of classes, and of an image's height and width that a text says."""
MAX_VALUES, MAX_DEPTH = 10_000, 10
MAX_MODULES, MAX_WEIGHTS = 8_000, 10_000_000_000
"""The largest models of timm have 2,540 modules, and 3 thousand million weights."""


def check_arguments(args: Mapping[str, Any]) -> None:
    """NATError for arguments that ask for more than a model of timm can be."""
    total = 0.0
    for number, (name, value) in enumerate(_values(args)):
        most = MAX_CLASSES if name == "num_classes" else MAX_NUMBER
        sizes = _sizes(value)
        if any(not size <= most for size in sizes):
            raise NATError(f"model_args: '{name}' has a number over {most:,}: {str(value)[:40]}")
        total += sum(sizes) if name != "num_classes" else 0
        if total > MAX_SUM or number >= MAX_VALUES:
            raise NATError(
                f"model_args: more than a model can be: numbers over {MAX_SUM:,} in all, or over {MAX_VALUES:,} values"
            )


def checked_size(architecture: str, said: Any) -> Shape:
    """The ``input_size`` of a pretrained_cfg. NATError for anything else."""
    if not isinstance(said, list | tuple) or len(said) != 3 or not all(type(each) is int for each in said):
        raise NATError(f"{architecture}: input_size is channels, height and width, not {said!r:.40}")
    if not all(0 < each <= MAX_SIDE for each in said):
        raise NATError(f"{architecture}: input_size has to be from 1 to {MAX_SIDE:,}, not {said!r:.40}")
    return said[0], said[1], said[2]


def _values(value: Any, name: str = "model_args", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Every single value, with the name under which it stands."""
    if depth > MAX_DEPTH:
        raise NATError(f"model_args: nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _values(each, str(key)[:60], depth + 1)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _values(each, name, depth + 1)
    else:
        yield name, value


def _sizes(value: Any) -> list[float]:
    if isinstance(value, str):
        return [float(found) for found in re.findall(r"\d+", value[:100_000])]
    return [abs(value)] if isinstance(value, int | float) else []


@contextmanager
def limited() -> Iterator[None]:
    """While timm builds a model: NATError as soon as it has more modules or weights than a model of timm has."""
    from torch.nn.modules.module import (
        register_module_module_registration_hook,
        register_module_parameter_registration_hook,
    )

    mine = threading.get_ident()
    counted = {"modules": 0, "weights": 0}

    def count(what: str, by: int, most: int) -> None:
        if threading.get_ident() == mine:
            counted[what] += by
            if counted[what] > most:
                raise NATError(f"a model of more than {most:,} {what} is not built")

    def module(_owner: nn.Module, _name: str, _child: Any) -> None:
        count("modules", 1, MAX_MODULES)

    def parameter(_owner: nn.Module, _name: str, found: Any) -> None:
        count("weights", 0 if found is None else found.numel(), MAX_WEIGHTS)

    hooks = (
        register_module_module_registration_hook(module),
        register_module_parameter_registration_hook(parameter),
    )
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
