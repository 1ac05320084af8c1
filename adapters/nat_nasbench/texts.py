"""What both kinds of strings share."""

from __future__ import annotations


def bare(text: str) -> str:
    """A string without the blanks and quotes that may stand around it, as in a file or in Python."""
    return text.strip(" \t\r\n'\"")
