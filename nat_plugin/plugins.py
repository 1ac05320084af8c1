"""Finds plugins and collects what they register. Built-ins come through the same hooks as anybody's."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from functools import cached_property, lru_cache
from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pluggy

from nat_plugin import hookspecs
from nat_plugin.errors import NATError
from nat_plugin.ir.ops import register_op
from nat_plugin.ir.rules import Rule, register_rule, rules

if TYPE_CHECKING:
    from nat_plugin.adapter import Adapter
    from nat_plugin.data import Loader
    from nat_plugin.evaluators.base import Evaluator
    from nat_plugin.strategies.base import Strategy

GROUP = "nat_plugin"
OWN_DISTRIBUTION = "nat-plugin"

_T = TypeVar("_T")


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr)


class Plugins:
    """Everything registered, by name. A broken plugin is named in one line and left out."""

    def __init__(self, modules: Iterable[tuple[str, Any]], complain: Callable[[str], None] = _to_stderr) -> None:
        self._complain = complain
        self._modules: list[tuple[str, Any]] = []
        for name, module in modules:
            manager = pluggy.PluginManager(GROUP)
            manager.add_hookspecs(hookspecs)
            try:
                manager.register(module, name)
                manager.check_pending()
            except (pluggy.PluginValidationError, ValueError) as error:
                complain(f"plugin '{name}' is left out: {' '.join(str(error).split())}")
                continue
            self._modules.append((name, manager.hook))
        self._call("register_ops", register_op)
        self._call("register_rules", register_rule)

    def _call(self, hook: str, register: Callable[..., None]) -> None:
        for name, hooks in list(self._modules):
            try:
                getattr(hooks, hook)(register=register)
            except Exception as error:  # noqa: BLE001 - whatever a plugin does, the tool goes on without it
                self._modules = [each for each in self._modules if each[0] != name]
                self._complain(f"plugin '{name}' is left out: {hook}: {type(error).__name__}: {error}")

    def _named(self, hook: str) -> dict[str, Any]:
        found: dict[str, Any] = {}

        def register(name: str, value: Any) -> None:
            if name in found:
                raise NATError(f"'{name}' is registered twice")
            found[name] = value

        self._call(hook, register)
        return found

    @cached_property
    def adapters(self) -> dict[str, Adapter]:
        found: dict[str, Adapter] = {}

        def register(adapter: Adapter) -> None:
            if adapter.name in found:
                raise NATError(f"adapter '{adapter.name}' is registered twice")
            found[adapter.name] = adapter

        self._call("register_adapters", register)
        return found

    @cached_property
    def strategies(self) -> dict[str, type[Strategy]]:
        return self._named("register_strategies")

    @cached_property
    def evaluators(self) -> dict[str, type[Evaluator]]:
        return self._named("register_evaluators")

    @cached_property
    def datasets(self) -> dict[str, Loader]:
        return self._named("register_datasets")

    @cached_property
    def recipes(self) -> dict[str, Path]:
        found: dict[str, Path] = {}

        def register(path: Path) -> None:
            found.setdefault(path.stem, path)

        self._call("register_recipes", register)
        return found

    @property
    def rules(self) -> dict[str, Rule]:
        return {rule.name: rule for rule in rules()}

    def find(self, what: str, name: str) -> Any:
        """One of ``adapters``, ``strategies``, ``evaluators``, ``datasets``, ``recipes`` by name; else NATError."""
        known: dict[str, Any] = getattr(self, what)
        if name not in known:
            raise NATError(f"unknown {what[:-1]} '{name[:60]}'; allowed: {', '.join(sorted(known))}")
        return known[name]


def installed(complain: Callable[[str], None] = _to_stderr) -> list[tuple[str, Any]]:
    """Built-ins, then the entry points: all of them, or those named in ``NAT_PLUGINS`` (empty: no third-party ones)."""
    wanted = os.environ.get("NAT_PLUGINS")
    names = None if wanted is None else {name.strip() for name in wanted.split(",") if name.strip()}
    modules: list[tuple[str, Any]] = [("nat_plugin.builtin", import_module("nat_plugin.builtin"))]
    for point in sorted(metadata.entry_points(group=GROUP), key=lambda point: point.name):
        own = point.dist is not None and point.dist.name == OWN_DISTRIBUTION
        if not own and names is not None and point.name not in names:
            continue
        try:
            modules.append((point.name, point.load()))
        except Exception as error:  # noqa: BLE001 - a plugin that cannot be imported must not take the tool down
            complain(f"plugin '{point.name}' is left out: {type(error).__name__}: {' '.join(str(error).split())}")
    return modules


@lru_cache(maxsize=1)
def plugins() -> Plugins:
    """The plugins of this process."""
    return Plugins(installed())
