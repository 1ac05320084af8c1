"""Third-party plugins come in through the hooks; a broken one is named and left out."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from nat_plugin import builtin
from nat_plugin.errors import NATError
from nat_plugin.hookspecs import hookimpl
from nat_plugin.ir import NULL, Op, OpKind, Rule, find_rule
from nat_plugin.network_json import NetworkJSON
from nat_plugin.plugins import Plugins, installed, plugins
from nat_plugin.search.random_search import RandomStrategy
from nat_plugin.sources import find_source


class Another(NetworkJSON):
    name = "another"


class Good:
    @hookimpl
    def register_adapters(self, register: Any) -> None:
        register(Another())

    @hookimpl
    def register_ops(self, register: Any) -> None:
        register(TRIPLE)

    @hookimpl
    def register_rules(self, register: Any) -> None:
        register(ONLY_NULL)


TRIPLE = OpKind("test_triple", "test_triple_{k}", lambda attributes, site: ())
ONLY_NULL = Rule("test-only-null", "everything may go", lambda before, after: after == NULL)


def test_the_shipped_adapters_are_found_through_entry_points() -> None:
    assert {"darts", "enas-micro", "enas-macro", "network"} <= set(plugins().adapters)


def test_a_plugin_adds_adapters_ops_and_rules() -> None:
    found = Plugins([("builtin", builtin), ("good", Good())])
    assert "another" in found.adapters
    assert str(Op.parse("test_triple_3")) == "test_triple_3"
    assert find_rule("test-only-null") is ONLY_NULL


def test_a_plugin_that_raises_is_named_once_and_left_out() -> None:
    class Broken(Good):
        @hookimpl
        def register_strategies(self, register: Any) -> None:
            raise RuntimeError("no luck")

    said: list[str] = []
    found = Plugins([("builtin", builtin), ("broken", Broken())], said.append)
    assert {"nat", "random"} <= set(found.strategies)
    assert "another" not in found.adapters
    assert said == ["plugin 'broken' is left out: register_strategies: RuntimeError: no luck"]


def test_a_plugin_with_an_unknown_hook_is_left_out() -> None:
    class Odd:
        @hookimpl
        def register_everything(self) -> None: ...

    said: list[str] = []
    Plugins([("odd", Odd())], said.append)
    assert len(said) == 1
    assert said[0].startswith("plugin 'odd' is left out: PluginValidationError: unknown hook 'register_everything'")


def test_a_taken_name_is_refused() -> None:
    class Thief:
        @hookimpl
        def register_adapters(self, register: Any) -> None:
            register(NetworkJSON())

    said: list[str] = []
    found = Plugins([("builtin", builtin), ("thief", Thief())], said.append)
    assert set(found.adapters) == {"network"}
    assert said[0] == "plugin 'thief' is left out: register_adapters: NATError: 'network' is registered twice"


def entry(name: str, distribution: str, load: Any) -> SimpleNamespace:
    return SimpleNamespace(name=name, dist=SimpleNamespace(name=distribution), load=load)


def test_nat_plugins_turns_third_party_plugins_off(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [entry("own", "nat-plugin", lambda: "own"), entry("theirs", "other", lambda: "theirs")]
    monkeypatch.setattr("nat_plugin.plugins.metadata.entry_points", lambda group: points)
    names = [name for name, _ in installed()]
    assert names == ["nat_plugin.builtin", "own", "theirs"]
    monkeypatch.setenv("NAT_PLUGINS", "")
    assert [name for name, _ in installed()] == ["nat_plugin.builtin", "own"]
    monkeypatch.setenv("NAT_PLUGINS", "theirs")
    assert [name for name, _ in installed()] == ["nat_plugin.builtin", "own", "theirs"]


def test_a_plugin_that_cannot_be_imported_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def load() -> None:
        raise ImportError("no module named 'gone'")

    monkeypatch.setattr("nat_plugin.plugins.metadata.entry_points", lambda group: [entry("bad", "other", load)])
    said: list[str] = []
    assert [name for name, _ in installed(said.append)] == ["nat_plugin.builtin"]
    assert said == ["plugin 'bad' is left out: ImportError: no module named 'gone'"]


def test_an_unknown_name_lists_the_allowed_ones() -> None:
    with pytest.raises(NATError, match=r"unknown adapter 'dart'; allowed: .*darts"):
        plugins().find("adapters", "dart")


NETWORK = '{"format": "nat-network", "schema": 1}'


def wrong(hook: str, *values: object) -> object:
    """A plugin that registers something in a hook; what is an exception, it raises."""

    def call(self: object, register: Any) -> None:
        for value in values:
            if isinstance(value, BaseException):
                raise value
            register(*value) if isinstance(value, tuple) else register(value)

    return type("Wrong", (), {hook: hookimpl(call)})()


class Nameless(NetworkJSON):
    name: str = None  # type: ignore[assignment]


class Silent(Another):
    summary: str = 3  # type: ignore[assignment]


class Unset(Another):
    Settings = dict  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("hook", "values", "message"),
    [
        ("register_adapters", ["darts"], "'darts' is not of type Adapter"),
        ("register_adapters", [Another], "is not of type Adapter"),
        ("register_adapters", [Nameless()], "None is not of type str"),
        ("register_adapters", [Silent()], "3 is not of type str"),
        ("register_adapters", [Unset()], "is not a subclass of BaseModel"),
        ("register_adapters", [Another(), Another()], "'another' is registered twice"),
        ("register_adapters", [Another(), SystemExit(3)], "SystemExit: 3"),
        ("register_adapters", [Another(), GeneratorExit()], "GeneratorExit"),
        ("register_strategies", [("mine", Another)], "is not a subclass of Strategy"),
        ("register_strategies", [("mine", "nat")], "'nat' is not a subclass of Strategy"),
        ("register_strategies", [(7, RandomStrategy)], "7 is not of type str"),
        ("register_strategies", [RandomStrategy], "TypeError"),
        ("register_evaluators", [("mine", RandomStrategy)], "is not a subclass of Evaluator"),
        ("register_datasets", [("mine", "cifar10")], "'cifar10' is not a function"),
        ("register_table_layouts", ["nasbench201"], "'nasbench201' is not of type TableLayout"),
        ("register_table_formats", [("mine", "csv")], "'csv' is not a function"),
        ("register_recipes", ["mine.yaml"], "'mine.yaml' is not of type Path"),
        ("register_ops", ["conv"], "'conv' is not of type OpKind"),
        ("register_rules", ["nat"], "'nat' is not of type Rule"),
    ],
)
def test_what_a_hook_is_not_for_is_refused_and_nothing_else_changes(hook: str, values: Any, message: str) -> None:
    said: list[str] = []
    found = Plugins([("builtin", builtin), ("wrong", wrong(hook, *values))], said.append)
    sound = Plugins([("builtin", builtin)])
    kinds = ("adapters", "strategies", "evaluators", "table_layouts", "table_formats", "datasets", "recipes")
    for kind in kinds:
        assert getattr(found, kind).keys() == getattr(sound, kind).keys()
    assert len(said) == 1
    assert said[0].startswith(f"plugin 'wrong' is left out: {hook}: ")
    assert message in said[0]


@pytest.mark.parametrize("error", [RuntimeError("no\nluck"), RecursionError(), SystemExit(1), AssertionError()])
@pytest.mark.parametrize("method", ["published", "recognises", "has_model", "near"])
def test_an_adapter_that_raises_where_all_are_asked_is_passed_over(method: str, error: BaseException) -> None:
    def fail(*_: object) -> None:
        raise error

    said: list[str] = []
    raising = type("Raising", (Another,), {"recognises": lambda *_: False, method: fail})
    found = Plugins([("theirs", wrong("register_adapters", raising())), ("builtin", builtin)], said.append)
    for _ in range(2):
        assert find_source(NETWORK, None, found).adapter.name == "network"
        with pytest.raises(NATError, match=r"nor text that an adapter knows; adapters: network$"):
            find_source("what is this?", None, found)
    assert len(said) == 1
    assert said[0].startswith(f"adapter 'another' is left out: {type(error).__name__}: ")
    assert "\n" not in said[0]


def test_ctrl_c_in_a_plugin_is_no_fault_of_it() -> None:
    with pytest.raises(KeyboardInterrupt):
        _ = Plugins([("theirs", wrong("register_adapters", KeyboardInterrupt()))]).adapters


def test_a_plugin_that_ends_the_process_at_import_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nat_plugin.plugins.metadata.entry_points", lambda group: [entry("bad", "other", sys.exit)])
    said: list[str] = []
    assert [name for name, _ in installed(said.append)] == ["nat_plugin.builtin"]
    assert said == ["plugin 'bad' is left out: SystemExit: "]


def test_a_name_in_nat_plugins_that_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [entry("own", "nat-plugin", lambda: "own"), entry("theirs", "other", lambda: "theirs")]
    monkeypatch.setattr("nat_plugin.plugins.metadata.entry_points", lambda group: points)
    monkeypatch.setenv("NAT_PLUGINS", "thiers, theirs")
    said: list[str] = []
    assert [name for name, _ in installed(said.append)] == ["nat_plugin.builtin", "own", "theirs"]
    assert said == ["NAT_PLUGINS: no plugin 'thiers' is installed; there are: own, theirs"]


def test_nat_debug_shows_where_a_plugin_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setenv("NAT_DEBUG", "1")
    _ = Plugins([("broken", wrong("register_adapters", RuntimeError("no luck")))], said.append).adapters
    assert said[0] == "plugin 'broken' is left out: register_adapters: RuntimeError: no luck"
    assert "Traceback" in said[1]
    assert "test_plugins.py" in said[1]
