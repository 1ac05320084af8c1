"""Third-party plugins come in through the hooks; a broken one is named and left out."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from nat_plugin import builtin
from nat_plugin.errors import NATError
from nat_plugin.hookspecs import hookimpl
from nat_plugin.ir import NULL, Op, OpKind, Rule, find_rule
from nat_plugin.network_json import NetworkJSON
from nat_plugin.plugins import Plugins, installed, plugins


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
    assert said[0].startswith("plugin 'odd' is left out: unknown hook 'register_everything'")


def test_a_taken_name_is_refused() -> None:
    class Thief:
        @hookimpl
        def register_adapters(self, register: Any) -> None:
            register(NetworkJSON())

    said: list[str] = []
    found = Plugins([("builtin", builtin), ("thief", Thief())], said.append)
    assert set(found.adapters) == {"network"}
    assert "adapter 'network' is registered twice" in said[0]


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
