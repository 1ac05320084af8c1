"""The workers of a command: an executor that begins when it is first needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from nat_plugin.execution.base import Executor, ExecutorSettings
from nat_plugin.execution.calls import CallAnswer, Following, answers
from nat_plugin.execution.choosing import find_executor
from nat_plugin.execution.tally import Tally

if TYPE_CHECKING:
    from nat_plugin.plugins import Plugins

_W = TypeVar("_W", bound="Workers")
_Subject = TypeVar("_Subject")
InTurn: TypeAlias = Callable[[Callable[..., Any], "Sequence[tuple[Any, ...]]", "Sequence[str]"], "Iterator[Any]"]
"""What a function returns for each of some arguments, in their order; these calls have names among the results."""


def in_turn_here(function: Callable[..., Any], given: Sequence[tuple[Any, ...]], names: Sequence[str]) -> Iterator[Any]:
    """Each in this process, when it is asked for."""
    del names
    return (function(*each) for each in given)


class Workers:
    """Left by ``with`` they end, as an executor does."""

    def __init__(self, name: str, settings: ExecutorSettings, folder: Path, plugins: Plugins) -> None:
        """``name`` and ``settings``: of the executor; ``folder``: of the results."""
        self._name, self._settings, self._folder, self._plugins = name, settings, folder, plugins
        self.tally = Tally()
        self.report: Callable[[str], None] = lambda _: None
        """Hears of what workers do."""

    @cached_property
    def executor(self) -> Executor:
        return find_executor(self._name, self._settings, self._folder, self._plugins)

    @property
    def here(self) -> bool:
        """Whether there is nobody but this process."""
        return self.executor.here

    def _answers(self, following: Following[_Subject]) -> Iterator[CallAnswer[_Subject]]:
        for answer in answers(self.executor, following, lambda under_way: self.report(f"{self.tally}, {under_way}")):
            self.tally.add(answer)
            yield answer
        if self.tally.rows({}):
            self.report(str(self.tally))

    def __enter__(self: _W) -> _W:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if "executor" in self.__dict__:
            self.executor.__exit__(kind, error, at)
