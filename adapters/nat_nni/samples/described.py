"""What every kind of model space is to this adapter: labels, and two functions between samples and networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from nat_nni.samples.values import Domain, Sample
from nat_plugin.ir import Network, NetworkSize, Origin, Shape


@dataclass(frozen=True)
class SampleRemarks:
    """What a user is told of a sample: the labels that no move changes, and what the space has and is not offered, with
    the reasons."""

    fixed: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)


class Described(Protocol):
    """A model space as this adapter knows it. ``input`` and ``classes``: what it was made for, if that is known."""

    @property
    def title(self) -> str: ...

    @property
    def input(self) -> Shape | None: ...

    @property
    def classes(self) -> int: ...

    def domains(self) -> Mapping[str, Domain]:
        """Its labels, and what each can be."""

    def read(self, sample: Sample, size: NetworkSize, origin: Origin) -> Network:
        """The network of a sample whose labels and values have been checked. NATError where there is none."""

    def write(self, network: Network, sample: Sample | None) -> Sample:
        """The sample of a network that was read from ``sample`` and moved, or (None) that came from another format.
        NATError where the space cannot represent it."""

    def remarks(self, sample: Sample, input: Shape) -> SampleRemarks:
        """Of a sample whose labels and values have been checked."""
