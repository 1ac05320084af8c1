"""Recipe files as plain values: safe YAML, found by path or by name, with ``key=value`` overrides."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from nat_plugin.errors import NATError
from nat_plugin.json_values import as_plain, check_plain, show
from nat_plugin.plugins import Plugins
from nat_plugin.sources import read_text

MAX_CHARS = 2**18
"""PyYAML reads about so many in a second or two."""


class _RecipeLoader(yaml.SafeLoader):
    """Safe YAML without aliases (no bombs) and without repeated keys."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            line = self.peek_event().start_mark.line + 1  # type: ignore[no-untyped-call]
            raise NATError(f"line {line}: YAML aliases (*name) are not allowed")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for each, _ in node.value:
            key = self.construct_object(each, deep=True)
            if not isinstance(key, Hashable):
                break  # what the base class refuses
            if key in seen:
                raise NATError(f"line {node.start_mark.line + 1}: key {show(key)} is duplicated")
            seen.add(key)
        return super().construct_mapping(node, deep)


def parse_yaml(text: str, label: str) -> Any:
    """Plain values from YAML (no dates, sets or binary data). NATError, naming line or place, for anything unsafe or
    malformed."""
    if len(text) > MAX_CHARS:
        raise NATError(f"{label}: {len(text):,} characters are more than a recipe can have")
    try:
        value = yaml.load(text, Loader=_RecipeLoader)
        check_plain(value, "it")
    except NATError as error:
        raise NATError(f"{label}: {error}") from None
    except RecursionError:
        raise NATError(f"{label}: nested too deeply") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise NATError(f"{label}: {where}{getattr(error, 'problem', None) or error}") from None
    except ValueError as error:
        raise NATError(f"{label}: {error}") from None
    return value


def label_of(recipe: str | os.PathLike[str] | Mapping[str, Any]) -> str:
    """How to name a recipe to a person."""
    return "recipe" if isinstance(recipe, Mapping) else os.fspath(recipe)


def read_values(
    recipe: str | os.PathLike[str] | Mapping[str, Any], overrides: Mapping[str, Any] | Iterable[str], plugins: Plugins
) -> dict[str, Any]:
    """The values of a recipe file, of one that ships, or of a script, with other values of some keys: ``KEY=VALUE`` in
    YAML, or a mapping; ``data.`` begins those of ``evaluator.data``, too. NATError says what is wrong."""
    if isinstance(recipe, Mapping):
        values = _of_script(recipe, "recipe")
    else:
        path = _path(os.fspath(recipe), plugins)
        values = parse_yaml(read_text(path), str(path))
        if not isinstance(values, dict):
            raise NATError(f"{path}: a recipe is a mapping of keys to values")
    if isinstance(overrides, Mapping):
        for key, value in _of_script(overrides, "overrides").items():
            _set(values, key, value, "overrides: ")
        return values
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not key:
            raise NATError(f"--set {override[:60]!r}: write key=value, as in --set strategy.name=random")
        _set(values, key, parse_yaml(text, f"--set {key}"), "--set ")
    return values


def _path(name: str, plugins: Plugins) -> Path:
    path = Path(name)
    if not os.path.exists(path) or os.path.isdir(path):  # pathlib raises where a name is too long
        if name not in plugins.recipes:
            known = ", ".join(sorted(plugins.recipes))
            raise NATError(f"'{name}' is neither a file nor a recipe that ships; recipes: {known}")
        return plugins.recipes[name]
    return path


def _of_script(given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Values of their own, that a file could hold."""
    values = as_plain(given)
    check_plain(values, where)
    assert isinstance(values, dict)
    return values


def _set(values: dict[str, Any], key: str, value: Any, label: str) -> None:
    *parents, last = key.split(".")
    if parents[:1] == ["data"]:
        parents.insert(0, "evaluator")
    for parent in parents:
        inner = values.get(parent)
        if inner is None:
            inner = values[parent] = {}
        if not isinstance(inner, dict):
            raise NATError(f"{label}{key}: '{parent}' is not a group of settings")
        values = inner
    values[last] = value
