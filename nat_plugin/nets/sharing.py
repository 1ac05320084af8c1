"""What an evaluator needs of weights that many networks share, whoever holds them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable

from torch import Tensor, nn

from nat_plugin.ir.network import Network


class SharedWeights(nn.Module):
    """A module that computes any of many networks with weights that they share. Batch norms use the statistics of the
    batch at hand, in evaluation mode too: running averages over different networks fit none of them."""

    @abstractmethod
    def forward(self, x: Tensor, network: Network) -> Tensor:
        """Logits (N, classes) of ``network`` for images (N, C, H, W). NATError if these weights cannot hold it."""

    @abstractmethod
    def active_parameters(self, network: Network) -> Iterable[nn.Parameter]:
        """Those that take part in ``forward``. NATError if these weights cannot hold the network."""
