"""The hooks of a plugin (pluggy, entry-point group ``nat_plugin``). Each gets a ``register`` callback.

>>> from nat_plugin import Strategy, hookimpl
>>> class MyStrategy(Strategy): ...
>>> @hookimpl
... def register_strategies(register):
...     register("mine", MyStrategy)
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:  # torch is slow to import, and most subcommands need none of it
    from nat_plugin.adapter import Adapter
    from nat_plugin.data import Loader
    from nat_plugin.evaluators.base import Evaluator
    from nat_plugin.evaluators.table import TableLayout, TableReader
    from nat_plugin.execution.base import Executor
    from nat_plugin.ir import OpKind, Rule
    from nat_plugin.search.base import Strategy

hookspec = pluggy.HookspecMarker("nat_plugin")
hookimpl = pluggy.HookimplMarker("nat_plugin")


@hookspec
def register_adapters(register: Callable[[Adapter], None]) -> None:
    """Call ``register(adapter)`` for every format."""


@hookspec
def register_ops(register: Callable[[OpKind], None]) -> None:
    """Call ``register(kind)`` for every kind of operation."""


@hookspec
def register_rules(register: Callable[[Rule], None]) -> None:
    """Call ``register(rule)`` for every rule set."""


@hookspec
def register_strategies(register: Callable[[str, type[Strategy]], None]) -> None:
    """Call ``register(name, strategy_class)``."""


@hookspec
def register_evaluators(register: Callable[[str, type[Evaluator]], None]) -> None:
    """Call ``register(name, evaluator_class)``."""


@hookspec
def register_executors(register: Callable[[str, type[Executor]], None]) -> None:
    """Call ``register(name, executor_class)``."""


@hookspec
def register_table_layouts(register: Callable[[TableLayout], None]) -> None:
    """Call ``register(layout)`` for every layout of a csv file that evaluator ``table`` is to know."""


@hookspec
def register_table_formats(register: Callable[[str, TableReader], None]) -> None:
    """Call ``register(name, reader)`` for every kind of file, beside csv, that evaluator ``table`` is to look up."""


@hookspec
def register_datasets(register: Callable[[str, Loader], None]) -> None:
    """Call ``register(name, loader)``."""


@hookspec
def register_recipes(register: Callable[[Path], None]) -> None:
    """Call ``register(path)`` for every recipe file; it runs by the name of the file."""
