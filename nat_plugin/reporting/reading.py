"""The files of a folder as a report reads them: somebody else may have written them, so each is checked and limited."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nat_plugin import files
from nat_plugin.errors import NATError

MAX_BYTES = 64 * 2**20
"""Of a file of figures."""
LARGEST = 2**62
_M = TypeVar("_M", bound="Read")


class Read(BaseModel):
    """Values of a file; what a report does not show is passed over."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False, extra="ignore")


class Spread(Read):
    """What a table of costs says of a network: what is always there, and of each cell."""

    unit: str
    fixed: float
    cells: dict[str, float]


class SearchSize(Read):
    """The input at the size of the search. ``costs`` and ``limits``: by what a budget limits."""

    key: str
    costs: dict[str, float] = Field({})
    limits: dict[str, float] = Field({})


class ScaleValues(Read):
    """The fields of ``Scale``."""

    name: str
    percent: bool
    lower_is_better: bool


def read_json(path: Path, most: int = MAX_BYTES) -> dict[str, Any]:
    """NATError for anything but an object of JSON, with finite numbers."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not a JSON number")

    text = files.read_text(path, most, "a file of figures")
    try:
        values = json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise NATError(f"{path}: damaged ({error}); put it back as it was written") from None
    if not isinstance(values, dict):
        raise NATError(f"{path}: damaged (not a JSON object); put it back as it was written")
    return values


def checked(model: type[_M], values: Any, where: str) -> _M:
    """NATError, naming the first key that is not as it is written."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))[:200]
        raise NATError(f"{where}: {key}: {first['msg']}; put it back as it was written") from None
