"""What a group of labels can be, as ops: measured at every place, most expensive first."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from nat_nni.generic.groups import LabelGroup
from nat_nni.generic.measurer import Measurer, Values, combinations
from nat_nni.generic.probing import IDENTITY, OP, ZERO
from nat_nni.generic.tree import labels_inside
from nat_nni.ops import INPUTS, NO_INPUTS
from nat_plugin import NATError
from nat_plugin.ir import MAX_OP_TEXT, NULL, SKIP, Cost, Op

_NO_WORD = re.compile(r"[^A-Za-z0-9_.\-/]+")


class Row(NamedTuple):
    """Values of the labels, those that count (as text; a label inside a layer that is not chosen does not; of input
    choices apart), what they cost at every place, and whether they pass their input on or give zeros."""

    values: Values
    words: tuple[str, ...]
    inputs: tuple[str, ...]
    costs: tuple[Cost, ...]
    kind: str

    @property
    def total(self) -> Cost:
        return sum(self.costs, Cost())


@dataclass(frozen=True)
class GroupCandidates:
    """The rows of a group with their ops. ``now``: that of the sample; ``bypass``: the model works without the unit."""

    name: str
    rows: tuple[Row, ...]
    ops: tuple[Op, ...]
    now: Op
    bypass: bool = False
    dropped: bool = False
    """Whether skip leaves a whole block out."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """What the space has and is not offered, and why."""

    @property
    def cost(self) -> Cost:
        """Of the sample."""
        return self.rows[self.ops.index(self.now)].total

    @property
    def choices(self) -> tuple[Op, ...]:
        return (*self.ops, SKIP) if self.dropped else self.ops

    def values_of(self, op: Op) -> Values:
        if op not in self.ops:
            raise NATError(f"'{self.name}' cannot be '{op}'; it has {', '.join(map(str, self.choices[:20]))}")
        return self.rows[self.ops.index(op)].values

    def is_dropped(self, op: Op) -> bool:
        return self.dropped and op == SKIP

    @property
    def chooses_inputs(self) -> bool:
        """Whether this is an input choice and nothing else."""
        return all(row.inputs and not row.words for row in self.rows)

    @property
    def zeros(self) -> bool:
        return any(row.kind == ZERO for row in self.rows)

    @property
    def is_zero(self) -> bool:
        """Whether the sample has zeros here."""
        return self.rows[self.ops.index(self.now)].kind == ZERO

    def with_null(self, bypass: bool) -> GroupCandidates:
        """With null for the first row that gives zeros."""
        at = next(number for number, row in enumerate(self.rows) if row.kind == ZERO)
        ops = tuple(NULL if number == at else op for number, op in enumerate(self.ops))
        return replace(self, ops=ops, now=ops[self.ops.index(self.now)], bypass=bypass)

    def without_zeros(self) -> GroupCandidates:
        """For a unit that the model cannot do without. A way around it, as others of its kind have, changes nothing."""
        left = [number for number, row in enumerate(self.rows) if row.kind != ZERO]
        return replace(self, rows=tuple(self.rows[n] for n in left), ops=tuple(self.ops[n] for n in left), bypass=True)

    def held(self) -> GroupCandidates:
        """With nothing but what the sample has."""
        return replace(self, rows=(self.rows[self.ops.index(self.now)],), ops=(self.now,))

    def droppable(self) -> GroupCandidates:
        """With skip for leaving the block out, unless it has a skip of its own."""
        return self if SKIP in self.ops else replace(self, dropped=True)


def find_candidates(group: LabelGroup, measurer: Measurer, name: str) -> GroupCandidates:
    """The combinations that run and keep all shapes; that of the sample is always among them, and the others are noted.
    Their ops are named by the labels that count, so that a network is the same whichever of its samples it was read
    from."""
    now = tuple(measurer.sample[label] for label in group.labels)
    others = {label for spot in group.spots for each in spot.all() for label in each.labels} - set(group.labels)
    rows, left_out = [], {}
    for values in combinations(group.labels, measurer):
        given = dict(zip(group.labels, values, strict=True))
        sample = {**measurer.sample, **given}
        active = list(dict.fromkeys(label for spot in group.spots for label in labels_inside(spot, sample)))
        if any(label not in active and given[label] != measurer.sample[label] for label in group.labels):
            continue
        if values == now or all(measurer.keeps_shapes(spot, given) for spot in group.spots):
            found = [measurer.variant(spot, given) for spot in group.spots]
            each = [one for one in found if one is not None]
            kinds = {one.kind for one in each}
            if len(each) == len(found):
                counted = [label for label in active if label not in others]
                many = [label for label in counted if label in measurer.domains and measurer.domains[label].many]
                words = tuple(measurer.text(label, sample) for label in counted if label not in many)
                inputs = tuple("-".join(map(str, sample[label])) for label in many)
                kind = kinds.pop() if len(kinds) == 1 else OP
                rows.append(Row(values, words, inputs, tuple(one.cost for one in each), kind))
        else:
            failures = [why for spot in group.spots if (why := measurer.failure(spot, given)) is not None]
            name_of = ", ".join(f"{label}={measurer.text(label, sample)}" for label in group.labels)
            left_out[name_of] = failures[0] if failures else "it gives other shapes"
    rows.sort(key=lambda row: (-row.total.macs, -row.total.params))
    ops = _ops(name, rows)
    at = next((number for number, row in enumerate(rows) if row.values == now), None)
    if at is None:
        raise NATError(f"{', '.join(group.labels)}: the module of this sample cannot be measured by itself")
    return GroupCandidates(name, tuple(rows), ops, ops[at], left_out=left_out)


def _ops(name: str, rows: Sequence[Row]) -> tuple[Op, ...]:
    found: list[Op] = []
    words: set[tuple[str, str]] = set()
    wired = any(row.inputs for row in rows)
    for row in rows:
        if row.kind == IDENTITY and SKIP not in found:
            found.append(SKIP)
            continue
        text, inputs = word(name, row.words), ".".join(f"x{each}" for each in row.inputs) or NO_INPUTS
        while (text, inputs) in words:
            text += "_"
        words.add((text, inputs))
        found.append(_opaque(f"{INPUTS.name}:{text}:{inputs}" if wired else f"opaque:{text}", row.costs))
    return tuple(found)


def word(name: str, words: Sequence[str]) -> str:
    """A name that an opaque op can have."""
    text = _NO_WORD.sub("_", "/".join([name, ".".join(words)]) if words else name)
    return ("" if text[:1].isalpha() or text[:1] == "_" else "_") + text[:120]


def _opaque(head: str, costs: Sequence[Cost]) -> Op:
    """With the costs of every placement, or all of them at the first where the text would be too long."""
    for each in (costs, (sum(costs, Cost()), *[Cost()] * (len(costs) - 1))):
        params, macs = _each([cost.params for cost in each]), _each([cost.macs for cost in each])
        text = f"{head}:{params}:{macs}"
        if len(text) <= MAX_OP_TEXT:
            break
    return Op.parse(text)


def _each(numbers: Sequence[int]) -> str:
    return str(numbers[0]) if len(set(numbers)) == 1 else ",".join(map(str, numbers))
