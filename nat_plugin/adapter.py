"""What every adapter is: a format on one side, the IR on the other, nothing else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from nat_plugin.ir import Frame, Network


@dataclass(frozen=True)
class Published:
    """An architecture that ships with an adapter: its text in the format, and where it is from."""

    text: str
    origin: str


class Adapter(ABC):
    """Reads one format into networks and writes networks back into it."""

    name: str
    summary: str

    @abstractmethod
    def recognises(self, text: str) -> bool:
        """Whether a text looks like this format (cheaply, without raising)."""

    @abstractmethod
    def read(self, text: str, frame: Frame) -> Network:
        """The network around the architecture in ``text``. Every editable edge has the ``choices`` of the format.
        Raises NATError that says what is wrong where."""

    @abstractmethod
    def write(self, network: Network) -> str:
        """The architecture in the format's own text. NATError where the format cannot say it."""

    def published(self) -> Mapping[str, Published]:
        """Architectures that ship with the adapter, by name."""
        return {}
