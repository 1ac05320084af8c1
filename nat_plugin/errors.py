"""The one kind of error that a user can cause, and how to see where one comes from."""

from __future__ import annotations

import os
import sys
import traceback

DEBUG = "NAT_DEBUG"
"""The environment variable that shows causes and tracebacks."""


def debugging() -> bool:
    """Whether the user asks for more than a line."""
    return os.environ.get(DEBUG, "") not in ("", "0")


def traced(error: BaseException) -> str:
    """The traceback of an error and of all that led to it, also of what ``raise … from None`` keeps out of sight."""
    each: BaseException | None = error
    while each is not None:
        each.__suppress_context__ = each.__cause__ is not None
        each = each.__cause__ or each.__context__
    return "".join(traceback.format_exception(error))


def show_trace(error: BaseException) -> None:
    """On standard error, where the user asks for it: of an error that goes on as a line alone."""
    if debugging():
        print(traced(error), end="", file=sys.stderr)


MAX_CHARS, MAX_LINES = 2_000, 50
"""Of a line, and of what is found wrong at once: what was given may be as long as it likes."""


class NATError(Exception):
    """Something the user gave is wrong: one line that says what, where, and what to do (exit status 2)."""

    def __init__(self, message: str) -> None:
        super().__init__(_line(message))


class NATErrors(NATError):
    """Several mistakes found at once (a recipe, say), one line each."""

    def __init__(self, messages: list[str]) -> None:
        lines = [_line(message) for message in messages]
        more = [f"and {len(lines) - MAX_LINES:,} more"] if len(lines) > MAX_LINES else []
        super().__init__("; ".join(lines))
        self.messages = (*lines[:MAX_LINES], *more)
        self.args = (lines,)  # of which it is made again in another process

    def __str__(self) -> str:
        return "\n".join(self.messages)


def _line(message: str) -> str:
    """On one line, the middle left out where it is too long: what is wrong stands first, what to do last."""
    line = " ".join(message.split())
    return line if len(line) <= MAX_CHARS else f"{line[: MAX_CHARS // 2]} … {line[3 - MAX_CHARS // 2 :]}"
