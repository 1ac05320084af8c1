"""Samples of a model space: flat dicts of label and value, as plain JSON values, held to what the space offers."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from nat_plugin.errors import NATError

Sample: TypeAlias = dict[str, Any]
MAX_LABELS = 10_000


@dataclass(frozen=True)
class Domain:
    """What a label can be: one of ``values``, or with ``many`` a list of them, of ``count`` or (None) of any number.

    Without values: any number (``numeric``), or something that follows from the other labels, as NNI's constraints.
    """

    values: tuple[Any, ...] = ()
    many: bool = False
    count: int | None = None
    numeric: bool = False

    @property
    def derived(self) -> bool:
        return not self.values and not self.numeric


def read_sample(title: str, domains: Mapping[str, Domain], sample: Any) -> Sample:
    """A sample in the form that is written: lists where several can be chosen (NNI 2 wrote a bare number).

    Labels stay in the order of ``sample``. NATError that names the label that is not known, or whose value is not
    allowed, and what is. What is missing is not asked.
    """
    if not isinstance(sample, Mapping):
        raise NATError(f"a sample is a mapping of labels to values, not {type(sample).__name__}")
    if len(sample) > MAX_LABELS:
        raise NATError(f"a sample of {len(sample):,} labels is too large")
    found: Sample = {}
    for label, value in sample.items():
        if label not in domains:
            near = difflib.get_close_matches(str(label), list(domains), 1)
            hint = f"; did you mean '{near[0]}'?" if near else f" (it has {few(list(domains))})"
            raise NATError(f"sample: {title} has no label '{str(label)[:80]}'{hint}")
        found[label] = _value(label, domains[label], value)
    return found


def require_all(title: str, domains: Mapping[str, Domain], sample: Sample) -> None:
    """NATError for labels without a value."""
    missing = [label for label, domain in domains.items() if label not in sample and not domain.derived]
    if missing:
        raise NATError(f"sample: {title} needs {few(missing)} too")


def few(labels: Sequence[str]) -> str:
    """Some labels, for a message."""
    shown = ", ".join(f"'{label[:80]}'" for label in labels[:6])
    return shown + (f" and {len(labels) - 6} more" if len(labels) > 6 else "")


def _value(label: str, domain: Domain, value: Any) -> Any:
    if domain.derived:
        return value
    if domain.numeric:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise NATError(f"sample: '{label}' is {value!r:.60}; it takes a number")
        return value
    allowed = ", ".join(map(repr, domain.values[:40]))
    if not domain.many:
        index = _match(domain.values, value)
        if index is None:
            raise NATError(f"sample: '{label}' is {value!r:.60}; allowed: {allowed}")
        return domain.values[index]
    wanted = list(value) if isinstance(value, list | tuple) else [value]
    indices = [_match(domain.values, each) for each in wanted]
    if None in indices or len(set(indices)) < len(indices) or domain.count not in (None, len(wanted)):
        count = "several" if domain.count is None else domain.count
        raise NATError(f"sample: '{label}' is {value!r:.60}; it takes a list of {count} of {allowed}")
    return [domain.values[index] for index in indices if index is not None]


def _match(values: Sequence[Any], value: Any) -> int | None:
    """Where a value stands among those of a choice; lists of JSON may be tuples there, and true is not 1."""
    value = tuple(value) if isinstance(value, list) else value
    for index, each in enumerate(values):
        each = tuple(each) if isinstance(each, list) else each
        if each == value and isinstance(each, bool) == isinstance(value, bool):
            return index
    return None
