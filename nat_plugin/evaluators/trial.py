"""What workers can do for an evaluator."""

from __future__ import annotations

from dataclasses import dataclass

from nat_plugin.ir import Network, key


@dataclass(frozen=True)
class Trial:
    """One thing to find out about a network, such as a training of it with a seed."""

    network: Network
    seed: int = 0

    @property
    def name(self) -> str:
        """The same for networks that compute the same."""
        return f"{key(self.network)}-seed{self.seed}"
