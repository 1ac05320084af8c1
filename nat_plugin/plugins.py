"""Finds plugins and collects what they register. Built-ins come through the same hooks as anybody's.

Whatever a plugin does wrong (it cannot be imported, registers something else than a hook is for, has an adapter that
raises where it must not), the tool goes on without it and says so in one line on standard error.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property, lru_cache
from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import pluggy
from pydantic import BaseModel

from nat_plugin import hookspecs
from nat_plugin.errors import NATError, debugging, traced
from nat_plugin.ir.ops import OpKind, register_op
from nat_plugin.ir.rules import Rule, register_rule, rules

if TYPE_CHECKING:
    from nat_plugin.adapter import Adapter
    from nat_plugin.data import Loader
    from nat_plugin.evaluators.base import Evaluator
    from nat_plugin.evaluators.table import TableLayout, TableReader
    from nat_plugin.execution.base import Executor
    from nat_plugin.search.base import Strategy

GROUP = "nat_plugin"
OWN_DISTRIBUTION = "nat-plugin"
ONLY = "NAT_PLUGINS"
"""The environment variable that names the third-party plugins to load."""

_T = TypeVar("_T")
_Complain: TypeAlias = Callable[[str], None]


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr)


class Plugins:
    """Everything registered, by name."""

    def __init__(self, modules: Iterable[tuple[str, Any]], complain: _Complain = _to_stderr) -> None:
        self._complain = complain
        self._modules: list[tuple[str, Any]] = []
        for name, module in modules:
            manager = pluggy.PluginManager(GROUP)
            manager.add_hookspecs(hookspecs)
            with _passing_over(f"plugin '{name}'", complain):
                manager.register(module, name)
                manager.check_pending()
                self._modules.append((name, manager.hook))
        self._call("register_ops", _each(lambda kind: register_op(_a(OpKind, kind))))
        self._call("register_rules", _each(lambda rule: register_rule(_a(Rule, rule))))

    def __reduce__(self) -> tuple[Any, ...]:
        """To another process go its own: they are loaded there before what comes behind them, which may name ops of
        theirs."""
        return plugins, ()

    def _call(self, hook: str, take: Callable[[list[tuple[Any, ...]]], object]) -> None:
        """``take`` what each plugin registers in a hook; a plugin that fails meanwhile is asked for nothing further."""
        sound = []
        for name, hooks in self._modules:
            with _passing_over(f"plugin '{name}'", self._complain, f"{hook}: "):
                given: list[tuple[Any, ...]] = []
                getattr(hooks, hook)(register=_collecting(given))
                take(given)
                sound.append((name, hooks))
        self._modules = sound

    def _named(self, hook: str, entry: Callable[..., tuple[str, _T]]) -> dict[str, _T]:
        """What is registered in a hook, by name; of a plugin all of it or nothing."""
        found: dict[str, _T] = {}

        def take(given: list[tuple[Any, ...]]) -> None:
            own: dict[str, _T] = {}
            for values in given:
                name, value = entry(*values)
                if not _a(str, name).strip():
                    raise NATError("a name is empty")
                if name in found or name in own:
                    raise NATError(f"'{name}' is registered twice")
                own[name] = value
            found.update(own)

        self._call(hook, take)
        return found

    @cached_property
    def adapters(self) -> dict[str, Adapter]:
        from nat_plugin.adapter import Adapter

        def entry(given: object) -> tuple[str, Adapter]:
            adapter: Adapter = _a(Adapter, given)  # type: ignore[type-abstract]
            _a(str, adapter.summary)
            _kind_of(BaseModel, adapter.Settings)
            return adapter.name, adapter

        return self._named("register_adapters", entry)

    def ask(
        self, question: Callable[[Adapter], _T], adapters: Iterable[Adapter] | None = None
    ) -> Iterator[tuple[Adapter, _T]]:
        """What each adapter answers, in turn. One that raises is left out from then on."""
        for adapter in list(self.adapters.values()) if adapters is None else adapters:
            answers = []
            with _passing_over(f"adapter '{adapter.name}'", self._complain):
                answers.append(question(adapter))
            if answers:
                yield adapter, answers[0]
            else:
                self.adapters.pop(adapter.name, None)

    @cached_property
    def strategies(self) -> dict[str, type[Strategy]]:
        from nat_plugin.search.base import Strategy

        return self._named("register_strategies", lambda name, kind: (name, _with_settings(Strategy, kind)))  # type: ignore[type-abstract]

    @cached_property
    def evaluators(self) -> dict[str, type[Evaluator]]:
        from nat_plugin.evaluators.base import Evaluator

        return self._named("register_evaluators", lambda name, kind: (name, _with_settings(Evaluator, kind)))  # type: ignore[type-abstract]

    @cached_property
    def executors(self) -> dict[str, type[Executor]]:
        from nat_plugin.execution.base import Executor

        return self._named("register_executors", lambda name, kind: (name, _with_settings(Executor, kind)))  # type: ignore[type-abstract]

    @cached_property
    def table_layouts(self) -> dict[str, TableLayout]:
        from nat_plugin.evaluators.table.layout import TableLayout

        return self._named("register_table_layouts", lambda layout: (_a(TableLayout, layout).name, layout))

    @cached_property
    def table_formats(self) -> dict[str, TableReader]:
        return self._named("register_table_formats", _function)

    @cached_property
    def datasets(self) -> dict[str, Loader]:
        return self._named("register_datasets", _function)

    @cached_property
    def recipes(self) -> dict[str, Path]:
        return self._named("register_recipes", lambda path: (_a(Path, path).stem, path))

    @property
    def rules(self) -> dict[str, Rule]:
        return {rule.name: rule for rule in rules()}

    def find(self, what: str, name: str) -> Any:
        """One of ``adapters``, ``strategies``, ``evaluators``, ``executors``, ``datasets``, ``recipes`` by name; else
        NATError."""
        known: dict[str, Any] = getattr(self, what)
        if name not in known:
            raise NATError(f"unknown {what[:-1]} '{name[:60]}'; allowed: {', '.join(sorted(known))}")
        return known[name]


def installed(complain: _Complain = _to_stderr) -> list[tuple[str, Any]]:
    """Built-ins, then the entry points: all of them, or those named in ``NAT_PLUGINS`` (empty: no third-party ones)."""
    wanted = os.environ.get(ONLY)
    names = None if wanted is None else {name.strip() for name in wanted.split(",") if name.strip()}
    modules: list[tuple[str, Any]] = [("nat_plugin.builtin", import_module("nat_plugin.builtin"))]
    points = sorted(metadata.entry_points(group=GROUP), key=lambda point: point.name)
    for unknown in sorted((names or set()) - {point.name for point in points}):
        there = ", ".join(dict.fromkeys(point.name for point in points))
        complain(f"{ONLY}: no plugin '{unknown[:60]}' is installed; there are: {there or 'none'}")
    for point in points:
        own = point.dist is not None and point.dist.name == OWN_DISTRIBUTION
        if own or names is None or point.name in names:
            with _passing_over(f"plugin '{point.name}'", complain):
                modules.append((point.name, point.load()))
    return modules


@contextmanager
def _passing_over(what: str, complain: _Complain, where: str = "") -> Iterator[None]:
    """Say in one line what a plugin raises within, whatever it is, and go on."""
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - SystemExit too
        said = " ".join(str(error).split())
        complain(f"{what} is left out: {where}{type(error).__name__}: {said[:300]}")
        if debugging():
            complain(traced(error).rstrip())


def _collecting(given: list[tuple[Any, ...]]) -> Callable[..., None]:
    return lambda *values: given.append(values)


def _each(register: Callable[..., None]) -> Callable[[list[tuple[Any, ...]]], None]:
    def take(given: list[tuple[Any, ...]]) -> None:
        for values in given:
            register(*values)

    return take


def _a(kind: type[_T], value: object) -> _T:
    """The value. TypeError if it is of another kind."""
    if not isinstance(value, kind):
        raise TypeError(f"{value!r:.60} is not of type {kind.__name__}")
    return value


def _function(name: str, value: _T) -> tuple[str, _T]:
    """An entry that is a function. TypeError if it is none."""
    if not callable(value):
        raise TypeError(f"{value!r:.60} is not a function")
    return name, value


def _with_settings(kind: type[_T], given: object) -> type[_T]:
    found = _kind_of(kind, given)
    _kind_of(BaseModel, getattr(found, "Settings", None))
    return found


def _kind_of(kind: type[_T], given: object) -> type[_T]:
    """The class. TypeError if it is none, or not one of that kind."""
    if not (isinstance(given, type) and issubclass(given, kind)):
        raise TypeError(f"{given!r:.60} is not a subclass of {kind.__name__}")
    return given


@lru_cache(maxsize=1)
def plugins() -> Plugins:
    """The plugins of this process."""
    return Plugins(installed())
