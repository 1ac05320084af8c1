"""The weights of a supernet: for one placement of a cell, a module for every path."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nat_plugin.ir.canonical import live
from nat_plugin.ir.layers import Layer
from nat_plugin.ir.network import Network
from nat_plugin.ir.ops import Site
from nat_plugin.ir.shapes import Placed
from nat_plugin.nets.blocks import FactorizedReduction
from nat_plugin.nets.layers import NormFactory, build_layer
from nat_plugin.nets.ops import build_op
from nat_plugin.nets.paths import OpPath


class Projection(nn.Module):
    """ReLU, pointwise convolution or factorized reduction, norm. The weights have a column for every channel that the
    input can ever have."""

    def __init__(self, layers: tuple[Layer, ...], norm: NormFactory) -> None:
        super().__init__()
        act, conv, after = layers
        self.act, self.conv, self.norm = build_layer(act), build_layer(conv), build_layer(after, norm)

    def forward(self, x: Tensor, columns: Tensor | None = None) -> Tensor:
        """``columns``: the channels that ``x`` holds; None for all."""
        x = self.act(x)
        if isinstance(self.conv, FactorizedReduction):
            convs, parts = (self.conv.even, self.conv.odd), self.conv.pixels(x)
            halves = zip(convs, parts, strict=True)
            x = torch.cat([_run_columns(conv, part, columns) for conv, part in halves if conv is not None], 1)
        elif isinstance(self.conv, nn.Conv2d):
            x = _run_columns(self.conv, x, columns)
        out: Tensor = self.norm(x)
        return out


def _run_columns(conv: nn.Conv2d, x: Tensor, columns: Tensor | None) -> Tensor:
    """``conv`` on an input that holds just the channels ``columns`` (int64) of its full width; None: all of them."""
    if columns is None:
        return conv(x)  # type: ignore[no-any-return]
    weight = conv.weight.index_select(1, columns)
    return F.conv2d(x, weight, conv.bias, conv.stride, conv.padding, conv.dilation, conv.groups)


@lru_cache(maxsize=65536)
def module_key(path: OpPath) -> str:
    """The name of a path among the modules of a cell."""
    return f"{path.source}_{path.target}_{path.occurrence}_{path.op}".replace(".", "_")


class SharedCell(nn.Module):
    """All that one placement can run: projections, an op for every path at its site, norms by node."""

    def __init__(self, placed: Placed, sites: Mapping[OpPath, Site], norm: NormFactory) -> None:
        super().__init__()
        self.projections = nn.ModuleList(Projection(layers, norm) for _, layers in placed.projections)
        self.ops = nn.ModuleDict()
        # A set of paths has no order of its own, and the same seed has to give the same weights.
        for path in sorted(sites, key=lambda path: (*path[:3], str(path.op))):
            self.ops[module_key(path)] = build_op(path.op, sites[path], norm)
        self.norms = nn.ModuleDict(
            {
                str(number): norm(placed.nodes[number][0])
                for number, node in enumerate(placed.cell.nodes, start=placed.cell.inputs)
                if node.norm
            }
        )


def varying(template: Network) -> frozenset[str]:
    """The cells whose outputs may differ in width between networks: only projections and the classifier read them."""
    readers: dict[str, list[bool]] = {placement.cell: [] for placement in template.placements}
    produced = dict(enumerate((placement.cell for placement in template.placements), start=len(template.stem)))
    for placement in template.placements:
        for source in placement.sources:
            if source in produced:
                readers[produced[source]].append(template.by_name[placement.cell].project)
    for placement in template.placements[-1:]:
        readers[placement.cell].append(not template.head.layers)
    return frozenset(name for name, projected in readers.items() if template.by_name[name].project and all(projected))


def widest(template: Network) -> Network:
    """The template with the outputs of cells as wide as those of any network that the supernet can run: where they
    vary (dead nodes leave, loose ends move), all inner nodes that have the resolution of the output."""
    cells = []
    for name in sorted({placement.cell for placement in template.placements}):
        cell = template.by_name[name]
        output = live(cell).output or cell.output
        if name in varying(template):
            levels = [0] * cell.inputs + [node.level for node in cell.nodes]
            inner = [node for node in range(cell.inputs, len(levels)) if levels[node] == levels[output[0]]]
            output = (*inner, *(Counter(cell.output) - Counter(inner)).elements())
        cells.append((name, replace(cell, output=output)))
    return template.with_cells(cells)
