"""A fixed rule as data: by the place of an edge and the op that stands there, the op to put there.

As text it is JSON: ``{"0->1": {"null": "skip", "avg_pool_*": "skip"}}``. Places are the keys of edges in their format;
places and ops before may be patterns (``normal/*``). An exact place goes before patterns, these in their order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from nat_plugin.errors import NATError
from nat_plugin.files import write_text
from nat_plugin.ir import Choice, Moves, Op
from nat_plugin.ir.serial import strict_json
from nat_plugin.search.neighbourhood import projection
from nat_plugin.sources import read_text

_SCHEMA = TypeAdapter(dict[str, dict[str, str]])


@dataclass(frozen=True)
class OpMap:
    """``after[place][op before]`` is the text of the op after. NATError for an op that is not known."""

    after: Mapping[str, Mapping[str, str]]

    def __post_init__(self) -> None:
        for place, ops in self.after.items():
            for before, after in ops.items():
                for text in (before, after) if not _is_pattern(before) else (after,):
                    try:
                        Op.parse(text)
                    except NATError as error:
                        raise NATError(f"map, place '{place[:40]}': {error}") from None

    def places(self, key: str) -> list[str]:
        """The places that an edge is at, by its key; the most exact first."""
        exact = [key] if key in self.after else []
        return exact + [place for place in self.after if place != key and fnmatchcase(key, place)]

    def wanted(self, key: str, op: Op) -> Op | None:
        """What the op of an edge is to become; None if nothing is said of it."""
        text = str(op)
        for place in self.places(key):
            ops = self.after[place]
            for before in (text, *ops):
                if before in ops and fnmatchcase(text, before):
                    return Op.parse(ops[before])
        return None

    def choice(self, moves: Moves) -> Choice:
        """What the map makes of a network, as near as rules and budget allow (``projection``). An op that the rules
        do not allow is left as it is."""
        wanted = []
        for slot, options in zip(moves.slots, moves.candidates, strict=True):
            op = self.wanted(moves.network.edge(slot).key, options[0])
            wanted.append(options.index(op) if op is not None and op in options else 0)
        return projection(moves, tuple(wanted))

    def write(self, path: Path) -> None:
        write_text(path, json.dumps(self.after, indent=1) + "\n")


def read_op_map(path: Path) -> OpMap:
    """NATError, naming the file, for anything but a map."""
    try:
        return OpMap(_SCHEMA.validate_python(strict_json(read_text(path)), strict=True))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "document"
        raise NATError(f"{path}: {where}: {first['msg']}; a map is {{place: {{op before: op after}}}}") from None
    except NATError as error:
        text = str(error)
        raise NATError(text if text.startswith(str(path)) else f"{path}: {text}") from None


def _is_pattern(text: str) -> bool:
    return any(letter in text for letter in "*?[")
