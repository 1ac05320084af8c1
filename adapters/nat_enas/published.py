"""The architectures that the authors of ENAS published, with their sources."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files

from nat_plugin.extending import Published


@lru_cache(maxsize=2)
def published(space: str) -> Mapping[str, Published]:
    """By name, for the space ``micro`` or ``macro``."""
    table = json.loads(files("nat_enas").joinpath("published.json").read_text(encoding="utf-8"))
    return {name: Published("\n".join(entry["lines"]), entry["origin"]) for name, entry in table[space].items()}
