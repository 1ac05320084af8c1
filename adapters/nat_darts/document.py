"""The fields of a genotype in their text: a call of a constructor, a Python dict or JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from nat_darts.locating import CONSTRUCTOR, FIELDS, locate
from nat_plugin import NATError
from nat_plugin.extending import Call, CharSpan, Literal, LiteralPath, Patches, is_json

PLAIN: Mapping[str, tuple[object, ...]] = {
    "connectN": (None,),
    "connects": (None,),
    "layout": ("cell",),
    "normal_bottleneck": (None, ""),
    "reduce_bottleneck": (None, ""),
}
"""Further fields that some descendants of DARTS have, and the values with which they change nothing."""


@dataclass(frozen=True)
class GenotypeText:
    """The values of the fields, and where each stands; ``span`` is the place of the genotype in the text."""

    text: str
    span: CharSpan
    values: Mapping[str, Literal]
    paths: Mapping[str, LiteralPath]

    def patches(self) -> Patches:
        return Patches(self.text, *self.span)

    def source(self, value: Literal) -> str:
        """A value as it would be written in this text."""
        return json.dumps(value) if is_json(self.text[slice(*self.span)]) else repr(value)


def read_document(text: str) -> GenotypeText:
    """Raises NATError for anything that is not one genotype, saying what it is and what was expected."""
    found = locate(text)
    value = found.value
    if isinstance(value, dict):
        return _document(text, found.span, value, {field: (field,) for field in value})
    assert isinstance(value, Call)
    if not CONSTRUCTOR.fullmatch(value.name):
        raise NATError(f"expected Genotype(...), not a call of '{value.name[:80]}'")
    if len(value.args) > len(FIELDS):
        raise NATError(f"Genotype takes {len(FIELDS)} fields, not {len(value.args)}: {', '.join(FIELDS)}")
    given = dict(zip(FIELDS, value.args, strict=False))
    twice = [field for field, _ in value.kwargs if field in given]
    if twice:
        raise NATError(f"field '{twice[0]}' is given by position and by name")
    paths: dict[object, LiteralPath] = {field: (position,) for position, field in enumerate(given)}
    paths.update({field: (field,) for field, _ in value.kwargs})
    fields: dict[object, Literal] = dict(value.kwargs)
    fields.update(given)
    return _document(text, found.span, fields, paths)


def _document(
    text: str, span: CharSpan, fields: Mapping[object, Literal], paths: Mapping[object, LiteralPath]
) -> GenotypeText:
    if "recurrent" in fields:
        raise NATError("this is the cell of a recurrent network (field 'recurrent'); only convolutional cells are read")
    for field, value in fields.items():
        if field in PLAIN and value not in PLAIN[str(field)]:
            plain = " or ".join(map(repr, PLAIN[str(field)]))
            raise NATError(f"field '{field}' is {value!r:.60}; only {plain} is read: other values mean another network")
        if field not in FIELDS and field not in PLAIN:
            raise NATError(f"unknown field '{str(field)[:60]}' in the genotype; its fields are {', '.join(FIELDS)}")
    missing = [field for field in FIELDS if field not in fields]
    if missing in (["reduce", "reduce_concat"], ["normal", "normal_concat"]):
        raise NATError(
            f"the genotype has no field '{missing[0]}': it is of one cell, and the network around such a cell is not "
            "known here; that of DARTS has normal and reduction cells"
        )
    if missing:
        raise NATError(f"the genotype has no field '{missing[0]}'; its fields are {', '.join(FIELDS)}")
    kept = {str(field): value for field, value in fields.items() if field in FIELDS}
    return GenotypeText(text, span, kept, {field: paths[field] for field in kept})
