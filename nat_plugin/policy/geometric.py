"""What is used of torch-geometric, imported when it is first needed, and without what is not: as a whole it takes as
long as torch, nine tenths of it for data sets and a compiler that no policy uses."""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import nn


UNUSED = ("torch._dynamo", "torch_geometric.datasets")
"""Modules that torch-geometric imports at its start, for others."""


class _Placeholder(ModuleType):
    """Stands for a module until it is needed after all."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), name)


@contextmanager
def _importing() -> Iterator[None]:
    """Within, what is unused is not imported; afterwards it is by whoever asks for it, as if it never had been here."""
    if "torch_geometric" in sys.modules:
        yield
        return
    waiting = {name: _Placeholder(name) for name in UNUSED if name not in sys.modules}
    sys.modules.update(waiting)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`torch.jit", FutureWarning)  # torch says it of torch-geometric
            yield
    finally:
        for name, placeholder in waiting.items():
            if sys.modules.get(name) is placeholder:
                del sys.modules[name]
    package = sys.modules["torch_geometric"]
    if not hasattr(package, "datasets"):  # torch has its own way for _dynamo
        package.datasets = _Placeholder("torch_geometric.datasets")  # type: ignore[attr-defined]


def scatter(source: torch.Tensor, index: torch.Tensor, dim: int, size: int, reduce: str) -> torch.Tensor:
    """``torch_geometric.utils.scatter``: sums (or means, maxima) of rows by where they belong."""
    with _importing():
        from torch_geometric.utils import scatter

    sums: torch.Tensor = scatter(source, index, dim, size, reduce)
    return sums


def sage_conv(hidden: int) -> nn.Module:
    """A relation between two kinds of vertices: sums of their neighbours through one linear layer."""
    with _importing():
        from torch_geometric.nn import SAGEConv

    conv: nn.Module = SAGEConv((hidden, hidden), hidden, aggr="sum", root_weight=False, bias=False)
    return _without_files(conv)


def gcn_conv(inputs: int, outputs: int) -> nn.Module:
    """The graph convolution of the paper: the directed adjacency as it is, without self-connections."""
    with _importing():
        from torch_geometric.nn import GCNConv

    conv: nn.Module = GCNConv(inputs, outputs, bias=False, normalize=False, add_self_loops=False)
    return _without_files(conv)


def _without_files(conv: nn.Module) -> nn.Module:
    """torch-geometric writes each kind of layer as a module into the temporary folder, imports it and leaves it there,
    once in every process."""
    for name in ("propagate", "edge_updater"):
        path = Path(getattr(conv, name).__code__.co_filename)
        if path.parent == Path(tempfile.gettempdir()):
            path.unlink(missing_ok=True)
    return conv
