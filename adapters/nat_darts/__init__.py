"""DARTS genotypes as a plugin of ``nat_plugin``."""

from __future__ import annotations

from collections.abc import Callable

from nat_darts.adapter import DartsAdapter
from nat_darts.compact import CompactAdapter
from nat_darts.ops import register_op_name
from nat_plugin import Adapter, hookimpl

__all__ = ["CompactAdapter", "DartsAdapter", "register_adapters", "register_op_name"]


@hookimpl
def register_adapters(register: Callable[[Adapter], None]) -> None:
    register(DartsAdapter())
    register(CompactAdapter())
