"""SOURCE as subcommands take it: one architecture, or ``-`` for one per line on standard input."""

from __future__ import annotations

import select
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import UnsupportedOperation
from typing import Any

import click

from nat_plugin.errors import NATError, show_trace
from nat_plugin.plugins import Plugins
from nat_plugin.sources import Source, find_source

MAX_LINE = 2**20
_CHUNK = 2**16

keep_going_option = click.option(
    "--keep-going", is_flag=True, help="With SOURCE -: report a bad line, and continue with the next."
)


class InputLines:
    """Standard input line by line, each as soon as it is there. Empty ones count, and are passed over."""

    def __init__(self) -> None:
        self._file: Any = sys.stdin.buffer  # of io.BufferedReader, which typeshed does not promise
        try:
            self._number: int | None = self._file.fileno()
        except UnsupportedOperation:
            self._number = None
        self._lines: deque[tuple[int, bytes]] = deque()
        self._rest, self._count, self._ended = b"", 0, False

    def ready(self) -> bool:
        """Whether a line, or the end, can be had without waiting for it."""
        while not self._lines and not self._ended and self._there():
            self._fill()
        return bool(self._lines) or self._ended

    def take(self, most: int) -> list[tuple[int, bytes]]:
        """The next lines with their numbers, as many as there are now, at least one; none at the end."""
        while not self._ended and (not self._lines or (len(self._lines) < most and self._there())):
            self._fill()
        return [self._lines.popleft() for _ in range(min(most, len(self._lines)))]

    def _there(self) -> bool:
        if self._number is None:
            return True
        try:
            return bool(select.select([self._number], [], [], 0)[0])
        except (OSError, ValueError):  # no such question can be asked of this file
            return True

    def _fill(self) -> None:
        try:
            found = self._file.read1(_CHUNK)
        except OSError as error:
            raise NATError(f"standard input: {error.strerror or error}") from error
        *whole, self._rest = (self._rest + found).split(b"\n")
        if not found:
            whole, self._rest, self._ended = [self._rest], b"", True
        elif len(self._rest) > MAX_LINE:
            whole, self._rest, self._ended = [*whole, self._rest], b"", True
        for line in whole:
            self._count += 1
            if line.strip():
                self._lines.append((self._count, line.strip()))


class Problems:
    """What is wrong with lines of standard input: it ends the work, or is said and passed over with ``keep_going``."""

    def __init__(self, keep_going: bool) -> None:
        self._keep_going, self._count = keep_going, 0

    def meet(self, problem: str, line: int | None) -> None:
        if line is None:
            raise NATError(problem)
        error = NATError(f"standard input, line {line}: {problem}")
        if not self._keep_going:
            raise error
        click.echo(f"nat: {error}", err=True)
        self._count += 1

    @contextmanager
    def of(self, line: int | None) -> Iterator[None]:
        """An error within is one of that line."""
        try:
            yield
        except NATError as error:
            if self._keep_going:
                show_trace(error)
            self.meet(str(error), line)

    def end(self) -> None:
        """NATError if anything was passed over."""
        if self._count:
            raise NATError(f"lines of standard input that were skipped: {self._count:,}")


def read_line(number: int, line: bytes, adapter: str | None, plugins: Plugins) -> Source:
    """The architecture in a line. NATError says what is wrong with it."""
    if len(line) > MAX_LINE:
        raise NATError(f"longer than {MAX_LINE:,} bytes")
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise NATError("this is not text in UTF-8") from None
    return replace(find_source(text, adapter, plugins), line=number)


def each_source(source: str, adapter: str | None, plugins: Plugins, problems: Problems) -> Iterator[Source]:
    """The architectures that SOURCE stands for, in order, each with its line on standard input."""
    if source != "-":
        yield find_source(source, adapter, plugins)
        return
    lines = InputLines()
    while taken := lines.take(1):
        found = None
        with problems.of(taken[0][0]):
            found = read_line(*taken[0], adapter, plugins)
        if found is not None:
            yield found
