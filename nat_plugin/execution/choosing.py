"""The executor that a recipe names, with its settings, held to what there is and to what is installed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from nat_plugin.errors import NATError, NATErrors
from nat_plugin.execution.base import Executor, ExecutorSettings
from nat_plugin.files import file_errors
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


def chosen_executor(wanted: Any, plugins: Plugins) -> tuple[str, ExecutorSettings]:
    """The name and the settings of an executor that is asked for by itself; None: the usual one. NATErrors for what is
    wrong with it."""
    wanted = USUAL if wanted is None else wanted
    mistakes: list[str] = []
    settings = check_executor(wanted, plugins, mistakes)
    if not isinstance(wanted, str | Mapping):
        mistakes = [f"executor: give a name, or a mapping of a name and settings (got {str(wanted)[:40]!r})"]
    if settings is None or mistakes:
        raise NATErrors(mistakes)
    return str(executor_values(wanted)["name"]), settings


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder for an executor whose results have none of their own: in the folder at hand, which jobs on other
    machines see as well. It goes at the end."""
    here = Path.cwd()
    with file_errors(here):
        made = TemporaryDirectory(prefix="nat-workers-", dir=here, ignore_cleanup_errors=True)  # ended jobs may write
    with made:
        yield Path(made.name)


def find_executor(name: str, settings: ExecutorSettings, folder: Path, plugins: Plugins) -> Executor:
    """The executor by its name; ``folder``: of the results."""
    kind: type[Executor] = plugins.find("executors", name)
    return kind(settings, folder)
