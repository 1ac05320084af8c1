"""Names of a module that are imported when they are first asked for, since torch takes seconds."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(
    module: str, places: Mapping[str, str], moved: Mapping[str, str] | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` of a module; ``places``: in which other module each of its names is, as
    ``module``, or as ``module:name`` where it has another name there. ``moved``: names of earlier versions, each as
    ``module:name``; they are not listed, and warn."""
    old = moved or {}

    def get(name: str) -> Any:
        if name in old:
            place, _, new = old[name].partition(":")
            warnings.warn(f"{module}.{name} is {place}.{new} now", DeprecationWarning, stacklevel=2)
            return getattr(import_module(place), new)
        if name not in places:
            raise AttributeError(f"module '{module}' has no attribute '{name}'")
        place, _, other = places[name].partition(":")
        found = getattr(import_module(place), other or name)
        setattr(sys.modules[module], name, found)
        return found

    def listed() -> list[str]:
        own = vars(sys.modules[module])
        return sorted({*own["__all__"], *(name for name in own if name.startswith("__"))})

    return get, listed


def lazy_room(
    package: str, names: Mapping[str, tuple[str, ...]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """``__getattr__``, ``__dir__`` and ``__all__`` of a package that offers names of its modules, by module."""
    places = {name: f"{package}.{module}" for module, each in names.items() for name in each}
    return *lazy_names(package, places), sorted(places)
