"""JSON documents that tell whether they were changed: with a checksum of everything else in them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

KEY = "checksum"


def digest(values: Mapping[str, Any]) -> str:
    """Of plain values, however they are laid out as JSON."""
    return sha256(json.dumps(values, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def seal(values: Mapping[str, Any], indent: int | None = None) -> str:
    """The document as JSON, with its checksum."""
    plain = json.loads(json.dumps(values))  # as it is read again
    return json.dumps({**plain, KEY: digest(plain)}, indent=indent)


def unseal(text: str) -> dict[str, Any]:
    """The values of a document that was sealed. ValueError if it is none, or changed."""
    values = json.loads(text)
    if not isinstance(values, dict) or KEY not in values:
        raise ValueError("it has no checksum")
    said = values.pop(KEY)
    if said != digest(values):
        raise ValueError("its checksum does not match its contents")
    return values
