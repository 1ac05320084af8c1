"""Options that several subcommands share."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from nat_plugin.errors import NATError

if TYPE_CHECKING:
    from nat_plugin.execution.base import ExecutorSettings

_C = TypeVar("_C", bound=Callable[..., Any])

adapter_option = click.option("--adapter", help="The format of SOURCE.  [default: guessed, if only one fits]")
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")


def size_options(command: _C) -> _C:
    """``--channels``, ``--cells``, ``--input`` and ``--classes``; for ``nat_plugin.sources.size_of``."""
    for option in reversed(
        (
            click.option("--channels", type=click.IntRange(1, 4096), help="Channels of the first cells."),
            click.option("--cells", type=click.IntRange(1, 1000), help="Number of cells in a row."),
            click.option(
                "--input", "size", type=click.IntRange(1, 4096), help="Image side.  [default: the model's own, or 32]"
            ),
            click.option(
                "--classes", type=click.IntRange(1, 1_000_000), help="Classes.  [default: the model's own, or 10]"
            ),
        )
    ):
        command = option(command)
    return command


def pairs(given: Iterable[str], option: str, form: str) -> dict[str, str]:
    """What stands before and after the sign of equality in the values of an option. NATError tells its form."""
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise NATError(f"{option} {text[:60]!r}: write {form}")
        found[name.strip()] = value.strip()
    return found


executor_option = click.option(
    "--executor",
    multiple=True,
    metavar="NAME_OR_KEY=VALUE",
    help="Workers for the lines of SOURCE -: ray, or name=local and workers=8.  [default: this machine]",
)


def chosen_by(given: Iterable[str]) -> tuple[str, ExecutorSettings] | None:
    """The executor by its name, with its settings; None where it is left out."""
    words = [text if "=" in text else f"name={text}" for text in given]
    if not words:
        return None

    from nat_plugin.execution.choosing import chosen_executor
    from nat_plugin.plugins import plugins
    from nat_plugin.runs.reading import parse_yaml

    values = pairs(words, "--executor", "NAME or KEY=VALUE, as in workers=8")
    return chosen_executor({name: parse_yaml(text, f"--executor {name}") for name, text in values.items()}, plugins())


def print_json(value: Any) -> None:
    json.dump(value, sys.stdout)
    sys.stdout.write("\n")
    sys.stdout.flush()
