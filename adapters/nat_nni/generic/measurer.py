"""A frozen sample as a measurer: variants of its parts are measured in it, on the inputs that they have there."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, TypeAlias, TypeVar

from nni.nas.nn.pytorch import MutableModule
from torch import nn

from nat_nni.generic.measuring import MeasuredModule, Recording, Signature, measure, signature
from nat_nni.generic.tree import Spot
from nat_nni.samples.values import Domain, Sample

MAX_COMBINATIONS = 256
"""Of the values of the labels of one group; with more, one label at a time may differ from the sample."""
Result = TypeVar("Result")
Values: TypeAlias = tuple[Any, ...]
"""One for each label of a group."""


@dataclass
class MeasurementCache:
    """What is known of a space from all its samples: what was measured, what failed and why, the labels by module, and
    what the candidates of a cell cost behind an input."""

    measured: dict[Any, MeasuredModule | None] = field(default_factory=dict)
    failed: dict[Any, str] = field(default_factory=dict)
    labels: dict[nn.Module, frozenset[str]] = field(default_factory=dict)
    behind: dict[Any, dict[str, MeasuredModule | None]] = field(default_factory=dict)


@dataclass
class Measurer:
    """A frozen sample to measure variants of its parts in.

    ``whole`` runs all of the model with another sample, and raises where that fails; ``inputs``: what the labels of
    input choices can be here.
    """

    sample: Sample
    recording: Recording
    domains: Mapping[str, Domain]
    whole: Callable[[Sample], Recording]
    memory: MeasurementCache = field(default_factory=MeasurementCache)
    inputs: dict[str, list[list[int]]] = field(default_factory=dict)

    def values(self, label: str) -> Values:
        """What a label can be: all that the space offers, or of an input choice what changes no shapes."""
        return tuple(self.inputs[label]) if label in self.inputs else self.domains[label].values

    def text(self, label: str, sample: Sample) -> str:
        """What a sample has at a label, as a word."""
        return self.domains[label].text(sample[label]) if label in self.domains and label in sample else "None"

    def variant(self, spot: Spot, values: Mapping[str, Any]) -> MeasuredModule | None:
        """A spot with other values of some labels, on the inputs that it has in this sample; None: it does not run."""
        calls = self.recording.calls.get(spot.path)
        if calls is None:
            return None
        sample, key = {**self.sample, **values}, self._key(spot, values)
        if key not in self.memory.measured:
            self.memory.measured[key] = self.attempt(key, lambda: measure(spot.freeze(sample), calls))
        return self.memory.measured[key]

    def failure(self, spot: Spot, values: Mapping[str, Any]) -> str | None:
        """Why a variant does not run."""
        return self.memory.failed.get(self._key(spot, values))

    def attempt(self, what: Any, run: Callable[[], Result]) -> Result | None:
        """Run what the user wrote, which may fail in any way: then None, and a note why."""
        try:
            return run()
        except Exception as error:  # noqa: BLE001 - see above
            self.memory.failed[what] = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
            return None

    def _key(self, spot: Spot, values: Mapping[str, Any]) -> tuple[Any, ...]:
        sample = {**self.sample, **values}
        return (
            spot.path,
            tuple((label, self.text(label, sample)) for label in sorted(self.labels(spot.maker))),
            tuple((signature(call.args), signature(call.kwargs)) for call in self.recording.calls.get(spot.path, ())),
        )

    def labels(self, spot: Spot) -> frozenset[str]:
        """All labels that the module of a spot has inside, in use or not."""
        return self.labels_of(spot.module)

    def labels_of(self, module: nn.Module) -> frozenset[str]:
        found = self.memory.labels.get(module)
        if found is None:
            modules = [each for each in module.modules() if isinstance(each, MutableModule)]
            found = frozenset(label for each in modules for one in each.mutables for label in one.simplify())
            self.memory.labels[module] = found
        return found

    def keeps_shapes(self, spot: Spot, values: Mapping[str, Any]) -> bool:
        found = self.variant(spot, values)
        return found is not None and found.output == tuple(call.output for call in self.recording.calls[spot.path])

    def runs_alike(self, values: Mapping[str, Any], apart: Collection[str]) -> bool:
        """Whether the model with other values of some labels costs the same, and so does every module of it on the
        same shapes, but for those ``apart``."""
        found = self.attempt(str(dict(values)), lambda: self.whole({**self.sample, **values}))
        return (
            found is not None
            and found.cost == self.recording.cost
            and _seen(found, apart) == _seen(self.recording, apart)
        )

    def single(self, spot: Spot) -> bool:
        return len(self.recording.calls.get(spot.path, ())) == 1


def combinations(labels: Sequence[str], measurer: Measurer) -> list[Values]:
    """The values that the labels of a group can have together: all, or if those are too many, one changed at a time."""
    now = tuple(measurer.sample[label] for label in labels)
    if math.prod(len(measurer.values(label)) for label in labels) <= MAX_COMBINATIONS:
        return list(product(*(measurer.values(label) for label in labels)))
    found = [now]
    for at, label in enumerate(labels):
        found += [(*now[:at], value, *now[at + 1 :]) for value in measurer.values(label) if value != now[at]]
    return found


def _seen(recording: Recording, apart: Collection[str]) -> dict[str, list[Signature]]:
    return {
        path: [(signature(call.args), signature(call.kwargs), call.output) for call in calls]
        for path, calls in recording.calls.items()
        if path not in apart
    }
