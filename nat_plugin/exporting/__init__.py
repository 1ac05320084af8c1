"""Networks as torch modules that need nothing but torch: ``model.py``, which can be read and changed, and weights."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from nat_plugin.errors import NATError
from nat_plugin.exporting.cells import cells_source
from nat_plugin.exporting.model import Weights, built, load_weights, save, traced
from nat_plugin.exporting.text import MODULE, WEIGHTS
from nat_plugin.exporting.tracing import Example
from nat_plugin.ir import Network, cost
from nat_plugin.nets import build

__all__ = [
    "MODULE",
    "WEIGHTS",
    "Example",
    "Weights",
    "built",
    "exported",
    "load_weights",
    "save",
    "save_network",
    "save_weighted",
    "traced",
]


def exported(network: Network, adapter_module: nn.Module | None = None) -> nn.Module:
    """A network as a module of torch's own layers, with fresh weights, by the names that ``nets.build`` gives them.
    ``adapter_module``: what an adapter makes of it (``Adapter.module``), whose weights and names are kept. NATError
    where torch alone cannot make it."""
    total = cost(network)
    title = f"A network of {total.params:,} parameters and {total.macs:,} multiply-adds."
    inputs = (torch.randn(2, *network.input),)
    if adapter_module is not None:
        return traced(adapter_module, inputs, title)
    net = build(network)
    module = built(cells_source(net, title), net, inputs)
    if sum(each.numel() for each in module.parameters()) != total.params:
        raise NATError("the exported model has other parameters than were counted; please report it")
    return module


def save_network(
    network: Network, folder: Path, weights: Weights | None = None, adapter_module: nn.Module | None = None
) -> None:
    """Write a network as ``model.py``, and with its trained ``weights``, where there are any, as ``weights.pt``; of a
    module of an adapter else with those that it has: torch does not know how its framework starts it."""
    save_weighted(exported(network, adapter_module), folder, weights, adapter_module is not None)


def save_weighted(module: nn.Module, folder: Path, weights: Weights | None, is_framework: bool = True) -> None:
    """Write an exported module with trained weights, if there are any."""
    if weights is not None:
        load_weights(module, weights)
    save(module, folder, "trained" if weights is not None else "fresh" if is_framework else "none")
