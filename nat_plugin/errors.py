"""The one kind of error that a user can cause, and how to see where one comes from."""

from __future__ import annotations

import os
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


class NATError(Exception):
    """Something the user gave is wrong: one line that says what, where, and what to do (exit status 2)."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class NATErrors(NATError):
    """Several mistakes found at once (a recipe, say), one line each."""

    def __init__(self, messages: list[str]) -> None:
        super().__init__("; ".join(messages))
        self.messages = tuple(messages)

    def __str__(self) -> str:
        return "\n".join(self.messages)
