"""The architectures that a search starts from: given by the user in one of several ways, or drawn."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from nat_nni.adapter import NNIAdapter
from nat_nni.framework import load
from nat_nni.mapping import to_network, to_sample
from nat_nni.samples.document import read_document
from nat_nni.samples.domains import domains_of
from nat_nni.samples.values import Sample, read_sample
from nat_plugin import NATError
from nat_plugin.extending import read_text, strict_json
from nat_plugin.ir import Network, Shape, key

Initial: TypeAlias = Any
"""A sample (a dict), a JSON file of one or several, the name of a searched model of NNI's zoo, a model that an
experiment exported, or a list of any of those; None: drawn."""
_TRIES = 200


@dataclass(frozen=True)
class SampleInput:
    """An input: its network, and what its sample says that is no part of the architecture (labels of an evaluator)."""

    network: Network
    others: Sample


@dataclass(frozen=True)
class SearchedSpace:
    """A model space, as the experiment has it (``executable``) and as the user wrote it (``plain``)."""

    executable: Any
    plain: Any
    input: Shape | None

    @staticmethod
    def of(executable: Any, input: Shape | None) -> SearchedSpace:
        """NATError for a format that keeps nothing of the user's class."""
        spaces = load("nni.nas.space")
        if isinstance(executable, spaces.RawFormatModelSpace):
            return SearchedSpace(executable, executable.model_space, input)
        if isinstance(executable, spaces.SimplifiedModelSpace):
            return SearchedSpace(executable, executable.model.trace_copy().get(traceable=False), input)
        raise NATError(f"model format {type(executable).__name__}: use model_format='simplified' (or 'raw')")

    def start(self, sample: Mapping[str, Any]) -> SampleInput:
        labels, domains = set(self.plain.simplify()), domains_of(self.executable)
        others = {label: sample[label] for label in domains if label not in labels and label in sample}
        own = {label: value for label, value in sample.items() if label not in others}
        return SampleInput(to_network(self.plain, own, self.input), read_sample("the evaluator", domains, others))

    def sample(self, network: Network, start: SampleInput) -> Sample:
        return {**to_sample(self.plain, network), **start.others}

    def freeze(self, sample: Sample) -> Any:
        """A model to be trained. NATError where NNI refuses the sample."""
        try:
            return self.executable.freeze(sample)
        except load("nni.mutable").SampleValidationError as error:
            raise NATError(f"NNI refuses the sample {str(sample)[:200]}: {error}") from None


def given(space: SearchedSpace, initial: Initial) -> list[SampleInput]:
    """The inputs that the user gave, one of each that compute the same. NATError for what is no sample of the space."""
    found: dict[str, SampleInput] = {}
    for sample in _samples(space, initial):
        start = space.start(sample)
        found.setdefault(key(start.network), start)
    return list(found.values())


def drawn(
    space: SearchedSpace, count: int, seed: int, fits: Callable[[Network], bool], why: Callable[[SampleInput], str]
) -> list[SampleInput]:
    """``count`` different random architectures; fewer where chance finds no more. NATError if it finds none. ``why``:
    says of one that does not fit why that is."""
    random = np.random.RandomState(seed)
    found: dict[str, SampleInput] = {}
    trouble, unfit = "", None
    for _ in range(_TRIES):
        sample: Sample = {}
        try:
            space.executable.random(memo=sample, random_state=random)
            start = space.start(sample)
            if fits(start.network):
                found.setdefault(key(start.network), start)
            else:
                unfit = start
        except (NATError, load("nni.mutable").SampleValidationError) as error:
            trouble = " ".join(str(error).split())
        if len(found) == count:
            break
    if not found:
        raise NATError(
            f"initial: {_TRIES} random samples of {_name(space)} brought no input that can be transformed within the "
            f"budget; {trouble if unfit is None else why(unfit)}"
        )
    return list(found.values())


def _samples(space: SearchedSpace, initial: Initial) -> Iterable[Mapping[str, Any]]:
    if isinstance(initial, Mapping):
        yield initial
    elif isinstance(initial, (str, Path)):
        yield from _named(initial)
    elif isinstance(initial, (list, tuple)):
        if not initial:
            raise NATError("initial: the list is empty; give a sample, or None to draw one")
        for each in initial:
            yield from _samples(space, each)
    elif isinstance(getattr(initial, "sample", None), Mapping):
        yield initial.sample
    else:
        raise NATError(
            f"initial: {type(initial).__name__} is not a sample; give a dict, a JSON file, the name of a searched "
            "model, a model of export_top_models(), a list of those, or None"
        )


def _named(initial: str | Path) -> Iterable[Mapping[str, Any]]:
    searched = searched_sample(str(initial))
    if searched is not None:
        yield searched
        return
    path = Path(initial)
    if not os.path.isfile(path):  # pathlib raises where a name is too long
        names = ", ".join(NNIAdapter().published())
        raise NATError(f"initial: '{str(initial)[:80]}' is neither a file nor one of NNI's searched models ({names})")
    try:
        value = strict_json(read_text(path))
    except NATError as error:
        raise NATError(f"{path}: {error}") from error
    for each in value if isinstance(value, list) else [value]:
        if not isinstance(each, Mapping):
            raise NATError(f"{path}: a sample is a JSON object of labels and values, or a list of such")
        inner = each.get("sample")
        yield inner if isinstance(inner, Mapping) else each


def searched_sample(name: str) -> Sample | None:
    """The sample of a searched model that NNI ships (``darts-v2``); None if it has none of that name."""
    found = NNIAdapter().published().get(name)
    return None if found is None else read_document(found.text).sample


def _name(space: SearchedSpace) -> str:
    return type(space.plain).__name__
