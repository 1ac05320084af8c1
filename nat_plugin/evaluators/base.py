"""What every evaluator is: it turns proposals into measurements, and knows no strategy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from nat_plugin.data import DataSet
from nat_plugin.device import Compute
from nat_plugin.ir import Network, Rule
from nat_plugin.strategies.base import Measurement, Proposal, State
from nat_plugin.strategies.base import Settings as AnySettings


@dataclass(frozen=True)
class Bench:
    """What an evaluator works with: the networks it may meet, the data, the device, a seed.

    ``wirings``: whether it may also meet other wirings of the same cells (inputs drawn at random, as in the paper).
    """

    inputs: tuple[Network, ...]
    rule: Rule
    data: DataSet
    compute: Compute
    seed: int = 0
    wirings: bool = False


class Evaluator(ABC):
    """Measures networks. ``train`` lets a weight-sharing evaluator learn; others ignore it."""

    Settings: type[AnySettings] = AnySettings

    def __init__(self, bench: Bench, settings: AnySettings) -> None:
        self.bench, self.settings = bench, settings

    def train(self, networks: Sequence[Network]) -> dict[str, float]:  # noqa: ARG002 - what an override gets
        """One step on shared weights per network; what there is to report of it."""
        return {}

    @abstractmethod
    def measure(self, proposals: Sequence[Proposal]) -> list[Measurement | None]:
        """One measurement per proposal, β and α on the same images; None where it failed (NaN, say)."""

    @abstractmethod
    def hits(self, network: Network, split: Literal["selection", "test"]) -> torch.Tensor:
        """Which images of a split the network gets right by what is known of it now: (images,) of bool."""

    def state(self) -> State:
        return {}

    def restore(self, state: State) -> None:  # noqa: B027 - an evaluator that learns nothing has nothing to restore
        """Go on from a state."""
