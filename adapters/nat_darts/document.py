"""The four fields of a genotype in their text: a call of a constructor, a Python dict or JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from nat_plugin.errors import NATError
from nat_plugin.ir.serial import strict_json
from nat_plugin.literals import MAX_CHARS, Call, Literal, assigned, assigned_names, parse_literal

FIELDS = ("normal", "normal_concat", "reduce", "reduce_concat")
_CONSTRUCTOR = re.compile(r"(?:\w+\.)*genotype\w*", re.IGNORECASE)
_FILE = re.compile(r"(?:from|import)\b|#|\"\"\"|'''|[A-Za-z_]\w*\s*(?::[^=\n]*)?=(?!=)")


@dataclass(frozen=True)
class Document:
    """Values of the fields in their order in the text, and how they stand there.

    ``constructor``: what is called, with the first ``positional`` fields by position (None: a dict); ``json``: whether
    that dict is JSON; ``name``: what it is assigned to, or ``''``.
    """

    values: Mapping[str, Literal]
    constructor: str | None
    positional: int = 0
    json: bool = False
    name: str = ""

    def with_values(self, values: Mapping[str, Literal]) -> Document:
        return replace(self, values={field: values[field] for field in self.values})

    def render(self) -> str:
        """The text, in one line: for ``Genotype(...)`` as Python prints it."""
        if self.json:
            return json.dumps(dict(self.values))
        if self.constructor is None:
            text = repr(dict(self.values))
        else:
            items = enumerate(self.values.items())
            given = (repr(value) if at < self.positional else f"{field}={value!r}" for at, (field, value) in items)
            text = f"{self.constructor}({', '.join(given)})"
        return f"{self.name} = {text}" if self.name else text


def read_document(text: str) -> Document:
    """Raises NATError for anything that is not one genotype, saying what it is and what was expected."""
    if len(text) > MAX_CHARS:
        raise NATError(f"the text has {len(text):,} characters; at most {MAX_CHARS:,} are read")
    text = text.strip()
    if not text:
        raise NATError(
            "the text is empty; a genotype is Genotype(normal=[...], normal_concat=[...], reduce=[...], ...)"
        )
    if text.startswith("{") and "'" not in text:
        value = strict_json(text)
        return Document(_checked(value), None, json=True)
    name, literal = _find(text)
    value = parse_literal(literal)
    if isinstance(value, Call):
        if not _CONSTRUCTOR.fullmatch(value.name):
            raise NATError(f"expected Genotype(...), not a call of '{value.name[:80]}'")
        if len(value.args) > len(FIELDS):
            raise NATError(f"Genotype takes {len(FIELDS)} fields, not {len(value.args)}: {', '.join(FIELDS)}")
        given = dict(zip(FIELDS, value.args, strict=False))
        twice = [field for field, _ in value.kwargs if field in given]
        if twice:
            raise NATError(f"field '{twice[0]}' is given by position and by name")
        return Document(_checked({**given, **dict(value.kwargs)}), value.name, len(value.args), name=name)
    if isinstance(value, dict):
        return Document(_checked(value), None, name=name)
    raise NATError(f"expected Genotype(...) or an object with its fields, not a {type(value).__name__}")


def _find(text: str) -> tuple[str, str]:
    """The name that the one genotype in a text is assigned to ('' if none), and its literal."""
    if _FILE.match(text) is None:
        return "", text
    names = assigned_names(text)
    if len(names) == 1:
        return names[0], assigned(text, names[0])
    if not names:
        raise NATError("the file assigns nothing that looks like Genotype(normal=[...], ...) to a name")
    listed = ", ".join(names[:30]) + (", …" if len(names) > 30 else "")
    raise NATError(f"the file has {len(names)} architectures, name one: {listed}")


def _checked(value: object) -> dict[str, Literal]:
    if not isinstance(value, dict):
        raise NATError(f"expected an object with the fields {', '.join(FIELDS)}, not a {type(value).__name__}")
    unknown = [str(field)[:60] for field in value if field not in FIELDS]
    if unknown:
        raise NATError(f"unknown field '{unknown[0]}' in the genotype; its fields are {', '.join(FIELDS)}")
    missing = [field for field in FIELDS if field not in value]
    if missing:
        raise NATError(f"the genotype has no field '{missing[0]}'; its fields are {', '.join(FIELDS)}")
    return value
