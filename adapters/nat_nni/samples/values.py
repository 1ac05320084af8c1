"""Samples of a model space: flat dicts of label and value, held to what the space offers.

A value is what NNI has, whatever its type (a tuple, a number of NumPy, a class); JSON has its written form, from which
the same value is found again among those of its label.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from nat_plugin import NATError

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

    def written(self, value: Any) -> Any:
        """A value as JSON has it: a tuple as a list, NumPy's numbers as Python's, what JSON cannot say by its name and
        its place among the values. What follows from other labels stays as NNI has it."""
        if self.derived:
            return value
        if self.many and isinstance(value, list | tuple):
            return [self._written(each) for each in value]
        return self._written(value)

    def text(self, value: Any) -> str:
        """A value as a word, the same in every process."""
        return str(self.written(value))

    def find(self, value: Any) -> int | None:
        """The place of a value, itself or as written; true is not 1."""
        plain = _plain(value)
        for place, each in enumerate(self.values):
            own = _plain(each)
            if own is plain is _UNSAID:
                found = each is value or (type(each) is type(value) and bool(each == value))
            else:
                found = _same(_named(each, place) if own is _UNSAID else own, plain)
            if found:
                return place
        return None

    def _written(self, value: Any) -> Any:
        plain = _plain(value)
        return _named(value, self.find(value)) if plain is _UNSAID else plain


def read_sample(title: str, domains: Mapping[str, Domain], sample: Any) -> Sample:
    """A sample with the values that the space has: lists where several can be chosen (NNI 2 wrote a bare number).

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


def write_sample(domains: Mapping[str, Domain], sample: Sample) -> Sample:
    """A sample as plain JSON values; ``read_sample`` finds it again."""
    return {label: domains[label].written(value) if label in domains else value for label, value in sample.items()}


def restored(domains: Mapping[str, Domain], sample: Sample) -> Sample:
    """A sample from JSON with the values that the space has; what is not of the space stays as it is."""
    return {label: _own(domains[label], value) if label in domains else value for label, value in sample.items()}


def _own(domain: Domain, value: Any) -> Any:
    if domain.many and isinstance(value, list | tuple):
        return [_own(replace(domain, many=False), each) for each in value]
    place = domain.find(value)
    return value if place is None else domain.values[place]


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
        index = domain.find(value)
        if index is None:
            raise NATError(f"sample: '{label}' is {value!r:.60}; allowed: {allowed}")
        return domain.values[index]
    wanted = list(value) if isinstance(value, list | tuple) else [value]
    indices = [domain.find(each) for each in wanted]
    if None in indices or len(set(indices)) < len(indices) or domain.count not in (None, len(wanted)):
        count = "several" if domain.count is None else domain.count
        raise NATError(f"sample: '{label}' is {value!r:.60}; it takes a list of {count} of {allowed}")
    return [domain.values[index] for index in indices if index is not None]


_UNSAID: Any = object()
"""What JSON cannot say."""
_SCALARS = (bool, int, float, str, type(None))


def _plain(value: Any) -> Any:
    """A value as JSON has it, else ``_UNSAID``."""
    if isinstance(value, np.generic | np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        each = [_plain(inner) for inner in value]
        return _UNSAID if any(inner is _UNSAID for inner in each) else each
    return value if type(value) in _SCALARS else _UNSAID


def _named(value: Any, place: int | None) -> str:
    return f"{getattr(value, '__qualname__', type(value).__qualname__)}#{place}"


def _same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal; true is not 1."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)
