"""What every adapter is: a format on one side, the IR on the other, nothing else."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from nat_plugin.errors import NATError
from nat_plugin.ir import Network, NetworkSize

if TYPE_CHECKING:  # torch is slow to import, and an adapter by itself needs none of it
    from torch import Tensor, nn

    from nat_plugin.advising.advice import Advice
    from nat_plugin.advising.settings import AdviceSettings
    from nat_plugin.measuring.latency import Latency
    from nat_plugin.measuring.settings import LatencySettings


@dataclass(frozen=True)
class Published:
    """An architecture that ships with an adapter: its text in the format, and where it is from."""

    text: str
    origin: str


def refusal(read: Callable[[str], object], text: str) -> str | None:
    """What a reader has against a text; None if it takes it."""
    try:
        read(text)
    except NATError as error:
        return str(error)
    return None


class AdapterSettings(BaseModel):
    """The base of what a recipe can set of an adapter: ``adapter: {name: nni, space: DARTS}``."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Adapter(ABC):
    """Reads one format into networks and writes networks back into it: by ``recognises``, ``read`` and ``write``.

    >>> from nat_plugin import Adapter
    >>> from nat_plugin.ir import Cell, Edge, Head, Network, NetworkSize, Node, Op, Placement, cifar_stem
    >>> OPS = {"c": Op.parse("conv_3x3"), "s": Op.parse("skip")}
    >>> class Letters(Adapter):
    ...     name, summary = "letters", "one letter, c or s"
    ...
    ...     def recognises(self, text):
    ...         return text in OPS
    ...
    ...     def read(self, text, size):
    ...         edge = Edge(0, 1, OPS[text], "0", choices=tuple(OPS.values()))
    ...         cell = Cell(1, (Node(),), (edge,), (1,))
    ...         places, stem = (Placement("cell", 8, (0,)),), cifar_stem(size.input[0], 8)
    ...         return Network((("cell", cell),), places, stem, Head(size.classes), size.input)
    ...
    ...     def write(self, network):
    ...         return next(letter for letter, op in OPS.items() if op == network.ops[0])
    >>> Letters().write(Letters().read("c", NetworkSize()))
    'c'
    """

    name: str
    summary: str
    Settings: type[AdapterSettings] = AdapterSettings
    """What there is to set; by default nothing."""

    @abstractmethod
    def recognises(self, text: str) -> bool:
        """Whether a text looks like this format (cheaply, without raising)."""

    def has_model(self, name: str) -> bool:
        """Whether the framework has a model of this name. It may import the framework, so it is only asked of what no
        adapter recognises."""
        del name
        return False

    def near(self, text: str) -> str | None:
        """For a text that ``recognises`` refuses but that was likely meant for this format: what is wrong with it, in
        one line. None of any other text."""
        del text
        return None

    @abstractmethod
    def read(self, text: str, size: NetworkSize) -> Network:
        """The network around the architecture in ``text``. Every editable edge has the ``choices`` of the format.
        Raises NATError that says what is wrong where."""

    @abstractmethod
    def write(self, network: Network) -> str:
        """The architecture in the format's own text. NATError where the format cannot represent it."""

    def choices(self, text: str) -> Mapping[str, str]:
        """The choices of an architecture by the labels of its format, for reports; empty without labels."""
        del text
        return {}

    def natural_size(self, text: str) -> NetworkSize:
        """The size of an architecture where the user says nothing: for most formats the default one, for one of
        whole models what the model is made for. May raise NATError, as ``read`` does."""
        if (old := getattr(self, "natural_frame", None)) is None:
            return NetworkSize()
        warnings.warn("Adapter.natural_frame is Adapter.natural_size now", DeprecationWarning, stacklevel=2)
        found: NetworkSize = old(text)
        return found

    def unmoved(self, network: Network) -> Network | None:
        """What a network that was read had been made from by moves, where its format remembers that."""
        del network
        return None

    def configured(self, settings: Any) -> Adapter:
        """This adapter with settings (an instance of its ``Settings``). NATError where they cannot go together."""
        del settings
        return self

    def module(self, network: Network) -> nn.Module | None:
        """A network of this format as a torch module with fresh weights, (N, C, H, W) to logits (N, classes), where its
        ops are opaque to the core; None: the core builds it from the layers of its ops."""
        del network
        return None

    def advise(self, text: str, size: NetworkSize, settings: AdviceSettings) -> Advice:
        """What every move of an architecture with trained weights saves, and what it changes in its output, from
        images. By default of what the core builds. NATError where an adapter builds its modules itself."""
        from nat_plugin.advising.from_files import advise_from_files

        network = self.read(text, size)
        if self.module(network) is not None:
            raise NATError(f"{text[:60]!r}: `nat advise` cannot look into modules of format '{self.name}'")
        return advise_from_files(network, text if len(text) <= 60 else self.name, settings)

    def identity(self, network: Network) -> str:
        """What decides what a network of this format costs, beside what the network shows: of a model whose ops are
        opaque, which model it is. Tables of costs are of one identity."""
        del network
        return ""

    def latency(self, network: Network, settings: LatencySettings) -> Latency:
        """What times a network, and what it may become, as ``settings`` say."""
        from nat_plugin.measuring.cells import CellLatency

        return CellLatency(network, settings, self.module)

    def export(self, text: str, size: NetworkSize, folder: Path, weights: Mapping[str, Tensor] | None = None) -> None:
        """Write the architecture into a folder as a torch module that needs nothing but torch: ``model.py``, and with
        ``weights`` (by the names of that module) ``weights.pt``. By default what the core builds, or ``module``.
        NATError where torch alone cannot make it."""
        from nat_plugin.exporting import save_network

        network = self.read(text, size)
        save_network(network, folder, weights, self.module(network))

    def published(self) -> Mapping[str, Published]:
        """Architectures that ship with the adapter, by name."""
        return {}
