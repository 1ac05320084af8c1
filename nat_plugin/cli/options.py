"""Options that several subcommands share."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from nat_plugin.ir import Frame

_C = TypeVar("_C", bound=Callable[..., Any])

adapter_option = click.option("--adapter", help="The format of SOURCE; left out: guessed where only one fits.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")


def frame_options(command: _C) -> _C:
    """``--channels``, ``--cells``, ``--input`` and ``--classes``; the command gets a ``Frame`` from ``make_frame``."""
    for option in reversed(
        (
            click.option("--channels", type=click.IntRange(1), help="Channels of the first cells."),
            click.option("--cells", type=click.IntRange(1), help="Cells in depth."),
            click.option("--input", "size", type=click.IntRange(1), default=32, show_default=True, help="Image side."),
            click.option("--classes", type=click.IntRange(1), default=10, show_default=True),
        )
    ):
        command = option(command)
    return command


def make_frame(channels: int | None, cells: int | None, size: int, classes: int) -> Frame:
    return Frame(channels, cells, (3, size, size), classes)


def print_json(value: Any) -> None:
    json.dump(value, sys.stdout)
    sys.stdout.write("\n")
