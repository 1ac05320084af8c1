"""Where channels are in a model, as text: ``layer1.0.conv2:out``, ``layer1.0.bn2``, ``transition.conv:in@64-95``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

Side: TypeAlias = Literal["out", "in", "both"]
_NUMBER = "(0|[1-9][0-9]{0,8})"
_TEXT = re.compile(rf"([^:@]+)(?::(out|in))?(?:@{_NUMBER}-{_NUMBER})?")


@dataclass(frozen=True)
class Use:
    """A layer that makes channels (``out``), reads them (``in``) or has as many out as in (``both``); ``path`` may also
    be that of a parameter with a value for each channel. ``span``: the first and the last, among those that the layer
    has there before any of them is cut; None: all."""

    path: str
    side: Side
    span: tuple[int, int] | None = None

    def __str__(self) -> str:
        where = "" if self.span is None else f"@{self.span[0]}-{self.span[1]}"
        return self.path + ("" if self.side == "both" else f":{self.side}") + where

    @staticmethod
    def parse(text: str) -> Use:
        """ValueError for a text that is none."""
        found = _TEXT.fullmatch(text)
        if found is None:
            raise ValueError(
                f"'{text[:60]}' is not a path, perhaps with :in or :out and the first and last channel @0-63"
            )
        side: Side = "out" if found[2] == "out" else "in" if found[2] == "in" else "both"
        return Use(found[1], side, None if found[3] is None else (int(found[3]), int(found[4])))
