"""SOURCE as subcommands take it: one architecture, or ``-`` for one per line on standard input."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from nat_plugin.errors import NATError
from nat_plugin.plugins import Plugins
from nat_plugin.sources import Source, find_source

MAX_LINE = 2**20


def each_source(source: str, adapter: str | None, plugins: Plugins) -> Iterator[Source]:
    """The architectures that SOURCE stands for, in order, each with its line on standard input."""
    if source != "-":
        yield find_source(source, adapter, plugins)
        return
    number = 0
    while line := sys.stdin.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE:
            raise NATError(f"standard input, line {number}: longer than {MAX_LINE:,} characters")
        if line.strip():
            with _naming(number):
                found = find_source(line.strip(), adapter, plugins)
            yield replace(found, line=number)


@contextmanager
def naming(source: Source) -> Iterator[None]:
    """An error within names the line of an architecture on standard input."""
    with _naming(source.line):
        yield


@contextmanager
def _naming(line: int | None) -> Iterator[None]:
    try:
        yield
    except NATError as error:
        raise error if line is None else NATError(f"standard input, line {line}: {error}") from None
