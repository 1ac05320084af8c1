"""The executor that a recipe names, with its settings, held to what there is and to what is installed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nat_plugin.errors import NATError
from nat_plugin.execution.base import Executor, ExecutorSettings
from nat_plugin.runs.checking import check_part

if TYPE_CHECKING:
    from nat_plugin.plugins import Plugins

USUAL = "local"


def executor_values(given: Any) -> dict[str, Any]:
    """Of the key ``executor``, which may be a name alone; one of another form the schema reports."""
    if isinstance(given, str):
        given = {"name": given}
    return {"name": USUAL, **given} if isinstance(given, Mapping) else {"name": USUAL}


def check_executor(given: Any, plugins: Plugins, mistakes: list[str]) -> ExecutorSettings | None:
    """The settings of the executor; None where something is wrong, which ``mistakes`` then says."""
    values = executor_values(given)
    kind = plugins.executors.get(str(values["name"]))
    if kind is not None:
        try:
            kind.check()
        except NATError as error:
            mistakes.append(f"executor.name: '{values['name']}': {error}")
            return None
    settings: ExecutorSettings | None = check_part("executors", "executor", values, plugins, mistakes)
    return settings


def find_executor(name: str, settings: ExecutorSettings, folder: Path, plugins: Plugins) -> Executor:
    """The executor by its name; ``folder``: of the results."""
    kind: type[Executor] = plugins.find("executors", name)
    return kind(settings, folder)
