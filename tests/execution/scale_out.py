"""The commands of docs/how-to/scale-out.md, as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "scale-out.md").read_text()
SAME, MANY, NODES = "The same comparison on each", "Many architectures", "Two Ray nodes"
"""Sections that have some."""


def section(heading: str) -> str:
    return PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def commands(text: str) -> list[str]:
    """The lines of a shell in it."""
    return re.findall(r"^    ((?:RAY_AUTH_MODE=\w+ )?(?:nat|ray) .*)$", text, re.MULTILINE)
