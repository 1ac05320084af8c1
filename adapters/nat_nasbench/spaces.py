"""What is known of the search spaces whose networks were all trained: data sets, and which networks these are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from nat_nasbench import macro, nb201
from nat_nasbench.forms201 import ENDS
from nat_plugin.adapter import Adapter
from nat_plugin.errors import NATError
from nat_plugin.ir import Frame, Network, Shape


@dataclass(frozen=True)
class DataFacts:
    """A data set as a benchmark has it: size of an image, classes, how many images choose and how many test."""

    input: Shape
    classes: int
    validation: int
    test: int

    @property
    def frame(self) -> Frame:
        return Frame(input=self.input, classes=self.classes)


@dataclass(frozen=True, eq=False)
class Space:
    """``digits``: the name of a network in this space, one digit for each edge or layer; NATError if it is none of it.
    ``text``: the string that a name stands for. ``example``: the name of some network. ``rewires``: whether the space
    has every wiring of its cells."""

    title: str
    adapter: Adapter
    digits: Callable[[Network], str]
    text: Callable[[str], str]
    example: str
    datasets: Mapping[str, DataFacts]
    rewires: bool

    def check(self, network: Network, dataset: str) -> None:
        """NATError unless the network is one of those that were trained, cells and all around them."""
        try:
            self.digits(network)
        except NATError as error:
            raise NATError(f"the table is of {self.title}: {error}") from None
        wanted = _example(self, self.datasets[dataset].frame)
        for what in ("input", "stem", "placements", "head"):
            if getattr(network, what) != getattr(wanted, what):
                raise NATError(
                    f"the networks of {self.title} were trained in one size only, and this one has another {what}: "
                    "leave 'network' (channels, cells) out"
                )


@lru_cache(maxsize=16)
def _example(space: Space, frame: Frame) -> Network:
    return space.adapter.read(space.text(space.example), frame)


NB201 = Space(
    "NAS-Bench-201",
    nb201.NB201Adapter(),
    nb201.digits_of,
    nb201.from_digits,
    "1" * len(ENDS),
    {
        "cifar10": DataFacts((3, 32, 32), 10, 25_000, 10_000),
        "cifar100": DataFacts((3, 32, 32), 100, 5_000, 5_000),
        "imagenet16-120": DataFacts((3, 16, 16), 120, 3_000, 3_000),
    },
    rewires=True,
)
MACRO = Space(
    "NAS-Bench-Macro",
    macro.MacroAdapter(),
    macro.digits_of,
    str,
    "1" * macro.LAYERS,
    {"cifar10": DataFacts((3, 32, 32), 10, 10_000, 10_000)},
    rewires=False,
)
