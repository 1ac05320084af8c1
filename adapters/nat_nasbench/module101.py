"""A network of NAS-Bench-101 as a torch module (google-research/nasbench ``nasbench/lib/model_builder.py``)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nat_plugin.ir.vertices import KERNELS, Matrix, vertex_channels


def _conv(c_in: int, c_out: int, kernel: int) -> nn.Module:
    conv = nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(c_out), nn.ReLU())


def _sum(tensors: Sequence[Tensor]) -> Tensor:
    total = tensors[0]
    for tensor in tensors[1:]:
        total = total + tensor
    return total


class VertexCell(nn.Module):
    """One cell, all of whose vertices are alive. Where a vertex has fewer channels than one that it reads, it takes the
    first ones. Input (N, C, H, W), output the same size with ``c_out`` channels."""

    def __init__(self, matrix: Matrix, ops: Sequence[str], c_in: int, c_out: int) -> None:
        super().__init__()
        self.matrix, self.last = matrix, len(matrix) - 1
        self.channels = vertex_channels(c_in, c_out, matrix)
        projected = [target for target in range(1, self.last + 1) if matrix[0][target]]
        self.projections = nn.ModuleDict({str(each): _conv(c_in, self.channels[each], 1) for each in projected})
        self.ops = nn.ModuleList()
        for vertex, name in enumerate(ops, start=1):
            kernel, width = KERNELS[name], self.channels[vertex]
            self.ops.append(nn.MaxPool2d(3, 1, 1) if kernel is None else _conv(width, width, kernel))

    def forward(self, x: Tensor) -> Tensor:
        values: dict[int, Tensor] = {}
        for vertex in range(1, self.last):
            entering = [values[source][:, : self.channels[vertex]] for source in self._sources(vertex)]
            entering += self._projected(vertex, x)
            values[vertex] = self.ops[vertex - 1](_sum(entering))
        read = [values[source] for source in self._sources(self.last)]
        return _sum([*([torch.cat(read, 1)] if read else []), *self._projected(self.last, x)])

    def _projected(self, vertex: int, x: Tensor) -> list[Tensor]:
        return [self.projections[str(vertex)](x)] if self.matrix[0][vertex] else []

    def _sources(self, vertex: int) -> list[int]:
        return [source for source in range(1, vertex) if self.matrix[source][vertex]]


class NB101Network(nn.Module):
    """Stem, stages, a classifier. A stage has the channels after it, and is a pool or a cell. (N, C, H, W) to logits
    (N, classes)."""

    def __init__(
        self, matrix: Matrix, ops: Sequence[str], stages: Sequence[tuple[int, bool]], c_in: int, classes: int
    ) -> None:
        super().__init__()
        width, _ = stages[0]
        parts = [_conv(c_in, width, 3)]
        for c_out, is_pool in stages:
            parts.append(nn.MaxPool2d(2, 2, ceil_mode=True) if is_pool else VertexCell(matrix, ops, width, c_out))
            width = c_out
        self.features = nn.Sequential(*parts)
        self.classifier = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(x).mean((2, 3)))
        return logits
