"""DARTS genotypes as a plugin of ``nat_plugin``."""

from __future__ import annotations

from collections.abc import Callable

from nat_darts.adapter import DartsAdapter
from nat_plugin.adapter import Adapter
from nat_plugin.hookspecs import hookimpl

__all__ = ["DartsAdapter", "register_adapters"]


@hookimpl
def register_adapters(register: Callable[[Adapter], None]) -> None:
    register(DartsAdapter())
