"""Edits of a model as data: what was changed at which modules. A list of them is all that a saved model needs.

Applying an edit (``nat_timm.surgery.apply``) needs no tracing, so timm rebuilds a saved model from
its base and the list.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from nat_plugin import NATError
from nat_timm.documents.forms import Form, form_from_json
from nat_timm.documents.uses import Use

FITTED = "fitted"
ORDER = ("linear", "stride", "padding", "width", "hidden", "kernel", "pool", "skip", "drop", FITTED, "shortcut", "null")
"""In which edits are applied: what removes modules comes after what reads their weights."""
ADAPTATIONS = ("linear", "stride", "padding", "width")
"""Edits of the model that moves start from: it is read with them."""
_VALUES: dict[str, type | None] = {
    "linear": None,
    "stride": int,
    "padding": None,
    "width": int,
    "hidden": int,
    "kernel": int,
    "pool": str,
    "skip": None,
    "drop": None,
    FITTED: Form,
    "shortcut": None,
    "null": str,
}
MAX_EDITS = 10_000


@dataclass(frozen=True)
class Edit:
    """One change.

    ``null``: the block at ``at`` passes its input on (through its last activation, ``value``, if it has one);
    ``skip``: each module at ``at`` becomes an identity; ``drop``: together they give zeros, as one branch of a sum;
    ``kernel``: the convolution keeps the centre, ``value`` wide;
    ``hidden``: ``at`` lists the producer, what stands between, and the consumer, which keep ``value`` channels;
    ``fitted``: the block, or layers one after the other, become an operation of the form ``value``, whose weights
    ``nat_timm.fit`` gives it;
    ``pool``: the pool becomes ``value`` (max or avg); ``shortcut``: the block adds its input to its output;
    ``width``: ``at`` lists all layers that make, have or read a group of channels (``nat_timm.documents.uses``), which
    keep ``value`` of them; ``stride``: the convolution gets stride ``value``; ``linear``: each activation at ``at`` is
    taken out; ``padding``: the first of the convolutions at ``at`` puts the zeros around that the others did (the last
    four are no moves, but what a model is before it is moved: ``ADAPTATIONS``).
    """

    op: str
    at: tuple[str, ...]
    value: int | str | Form | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """Those of modules (or of parameters, among those with channels of a group)."""
        return tuple(Use.parse(text).path for text in self.at) if self.op == "width" else self.at

    def within(self, paths: Set[str]) -> Edit | None:
        """What is left of an edit where a model has only these; None if nothing."""
        there = [path in paths for path in self.paths]
        if self.op == "width" and any(there):
            return replace(self, at=tuple(text for text, is_there in zip(self.at, there, strict=True) if is_there))
        return self if all(there) else None

    def to_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {"op": self.op, "at": self.at[0] if len(self.at) == 1 else list(self.at)}
        value = self.value.to_json() if isinstance(self.value, Form) else self.value
        return found if value is None else {**found, "value": value}

    def __str__(self) -> str:
        return f"{self.op} {self.at[0]}" + ("" if self.value is None else f" {self.value}")


Fitted: TypeAlias = tuple[tuple[str, ...], Form]
"""An operation, and the block, or layers one after the other, in whose place it stands."""


def forms_in(edits: Iterable[Edit]) -> list[Fitted]:
    return [(edit.at, edit.value) for edit in edits if isinstance(edit.value, Form)]


def edits_to_json(edits: Iterable[Edit]) -> list[dict[str, Any]]:
    return [edit.to_json() for edit in edits]


def edits_from_json(values: Any) -> tuple[Edit, ...]:
    """NATError that names the edit and what is wrong with it."""
    if not isinstance(values, list | tuple):
        raise NATError(f"edits: expected a list of objects, not {values!r:.60}")
    if len(values) > MAX_EDITS:
        raise NATError(f"edits: {len(values):,} are more than the {MAX_EDITS:,} that are read")
    return tuple(_edit(number, value) for number, value in enumerate(values))


def _edit(number: int, value: Any) -> Edit:
    where = f"edit {number}"
    if not isinstance(value, dict) or not {"op", "at"} <= value.keys() <= {"op", "at", "value"}:
        raise NATError(f'{where}: expected {{"op": …, "at": …, "value": …}}, not {value!r:.80}')
    op, at, given = value["op"], value["at"], value.get("value")
    if not isinstance(op, str) or op not in _VALUES:
        raise NATError(f"{where}: unknown op {op!r:.40}; allowed: {', '.join(_VALUES)}")
    paths = (at,) if isinstance(at, str) else tuple(at) if isinstance(at, list | tuple) else ()
    if not paths or not all(isinstance(path, str) and path for path in paths):
        raise NATError(f"{where}: 'at' is the path of a module or a list of such, not {at!r:.60}")
    if op == "width":
        try:
            paths = tuple(str(Use.parse(text)) for text in paths)
        except ValueError as error:
            raise NATError(f"{where}: {error}") from None
    kind = _VALUES[op]
    if kind is Form:
        return Edit(op, paths, form_from_json(given, where))
    if op == "null" and given is None:
        return Edit(op, paths)
    if (kind is None) != (given is None) or (kind is not None and type(given) is not kind):
        wanted = "no value" if kind is None else f"a value of type {kind.__name__}"
        raise NATError(f"{where}: op '{op}' takes {wanted}, not {given!r:.40}")
    return Edit(op, paths, given)
