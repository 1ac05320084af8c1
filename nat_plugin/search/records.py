"""What has been measured of each of the user's inputs, best first. Shared by all strategies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nat_plugin.errors import NATError
from nat_plugin.ir import Network, Op, key

NEWEST = 0.5
"""Weight of a new gain where a network is measured again: shared weights have been trained since, yet each gain is
noisy. Where measurements are exact it makes no difference."""


def check_inputs(inputs: Sequence[Network]) -> None:
    """NATError for an input in which nothing can be changed."""
    if not inputs:
        raise NATError("there is no input architecture")
    for number, network in enumerate(inputs):
        if not network.slots:
            raise NATError(f"input {number} has no operation that may be changed: its edges are all fixed")


@dataclass(frozen=True)
class Record:
    """A transformation that was measured: its ops, its gain, and the number of the proposal that brought it first."""

    ops: tuple[str, ...]
    gain: float
    number: int


class Records:
    """One record for all networks that compute the same. Inputs go by their number in the task."""

    def __init__(self, inputs: Sequence[Network]) -> None:
        self._inputs = list(inputs)
        self._numbers = {network: number for number, network in reversed(list(enumerate(inputs)))}
        self._found: list[dict[str, Record]] = [{} for _ in inputs]
        self._keys = [key(network) for network in inputs]

    def find(self, source: Network) -> int | None:
        """The number of an input; None if it is not the user's."""
        return self._numbers.get(source)

    def add(self, source: int, network: Network, gain: float, number: int) -> None:
        name = key(network)
        if name == self._keys[source]:
            return
        known = self._found[source].get(name)
        if known is None:
            self._found[source][name] = Record(tuple(map(str, network.ops)), gain, number)
        else:
            mixed = (1 - NEWEST) * known.gain + NEWEST * gain
            self._found[source][name] = Record(known.ops, mixed, known.number)

    def knows(self, source: int, name: str) -> bool:
        """Whether the input itself or a measured transformation of it has that key."""
        return name == self._keys[source] or name in self._found[source]

    def gain(self, source: int, name: str) -> float | None:
        record = self._found[source].get(name)
        return None if record is None else record.gain

    def best(self, source: int, count: int | None = None) -> list[Record]:
        """By falling gain; of equals the earliest first."""
        return sorted(self._found[source].values(), key=lambda record: (-record.gain, record.number))[:count]

    def network(self, source: int, record: Record) -> Network:
        return self._inputs[source].with_ops([Op.parse(text) for text in record.ops])

    def state(self) -> list[Any]:
        return [[[n, list(r.ops), r.gain, r.number] for n, r in found.items()] for found in self._found]

    def restore(self, state: list[Any]) -> None:
        self._found = [
            {name: Record(tuple(ops), float(gain), int(number)) for name, ops, gain, number in found} for found in state
        ]
