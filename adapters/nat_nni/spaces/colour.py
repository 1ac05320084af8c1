"""Grey images for the spaces of the hub, which take three channels: the one that there is, three times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nat_nni.samples.described import Described, SampleRemarks
from nat_nni.samples.values import Domain, Sample
from nat_plugin.ir import Network, NetworkSize, Origin, Shape

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class InColour:
    """A space whose models get grey images as coloured ones."""

    space: Described

    @property
    def title(self) -> str:
        return self.space.title

    @property
    def input(self) -> Shape | None:
        return self.space.input

    @property
    def classes(self) -> int:
        return self.space.classes

    def domains(self) -> Mapping[str, Domain]:
        return self.space.domains()

    def read(self, sample: Sample, size: NetworkSize, origin: Origin) -> Network:
        network = self.space.read(sample, replace(size, input=coloured(size.input)), origin)
        return replace(network, input=size.input)

    def write(self, network: Network, sample: Sample | None) -> Sample:
        return self.space.write(replace(network, input=coloured(network.input)), sample)

    def remarks(self, sample: Sample, input: Shape) -> SampleRemarks:
        return self.space.remarks(sample, coloured(input))


def coloured(shape: Shape) -> Shape:
    return (3, *shape[1:]) if shape[0] == 1 else shape


def take_grey(model: nn.Module) -> None:
    """Let a model take images of one channel in place of three."""
    model.register_forward_pre_hook(_in_colour)


def _in_colour(_model: nn.Module, args: tuple[Any, ...]) -> Tensor:
    images: Tensor = args[0]
    return images.expand(-1, 3, -1, -1)
