"""Model spaces as users write them, for several tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nni
import torch
from nni.nas.nn.pytorch import (
    Cell,
    InputChoice,
    LayerChoice,
    ModelSpace,
    MutableBatchNorm2d,
    MutableConv2d,
    Repeat,
)
from torch import nn


class Zero(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 0


def conv(c_in: int, c_out: int, kernel: int, stride: int = 1) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(c_out), nn.ReLU()
    )


def mix(width: int, label: str) -> Any:
    return LayerChoice(
        {"wide": conv(width, width, 5), "slim": conv(width, width, 3), "same": nn.Identity()}, label=label
    )


class Block(nn.Module):
    """An inverted residual with a choice of kernel and expansion."""

    def __init__(self, width: int, label: str) -> None:
        super().__init__()
        kernel = nni.choice(f"{label}_kernel", [3, 5])
        hidden = width * nni.choice(f"{label}_expand", [1, 2, 4])
        self.expand = nn.Sequential(MutableConv2d(width, hidden, 1, bias=False), MutableBatchNorm2d(hidden), nn.ReLU6())
        self.depthwise = MutableConv2d(hidden, hidden, kernel, padding=kernel // 2, groups=hidden, bias=False)
        self.project = MutableConv2d(hidden, width, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.project(self.depthwise(self.expand(x)))


class Plain(ModelSpace):
    """Layer choices one after the other, shared by two widths, a repeat of variable depth, value choices."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 16, 3)
        self.one = mix(16, "mix")
        self.down = conv(16, 32, 3, stride=2)
        self.two = mix(32, "mix")
        self.blocks = Repeat(lambda index: Block(32, f"b{index}"), (1, 3), label="depth")
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.blocks(self.two(self.down(self.one(self.stem(x)))))
        return self.head(x.mean((2, 3)))


class Branches(ModelSpace):
    """Residual branches that can be nothing, each alone but not the two parallel ones together; a nested choice; a
    repeat whose blocks share their choice; an input choice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 8, 3)
        self.left = LayerChoice({"conv": conv(8, 8, 3), "none": Zero()}, label="left")
        self.right = LayerChoice({"conv": conv(8, 8, 1), "pool": nn.MaxPool2d(3, 1, 1), "none": Zero()}, label="right")
        inner = LayerChoice([conv(8, 8, 3), conv(8, 8, 1)], label="inner")
        self.outer = LayerChoice({"deep": nn.Sequential(conv(8, 8, 1), inner), "skip": nn.Identity()}, label="outer")
        self.repeat = Repeat(LayerChoice([conv(8, 8, 3), nn.Dropout(0.1)], label="shared"), (1, 2), label="times")
        self.last = LayerChoice({"conv": conv(8, 8, 3), "none": Zero()}, label="last")
        self.pick = InputChoice(2, n_chosen=1, label="pick")
        self.head = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = self.left(x) + self.right(x)
        before = x
        x = self.repeat(self.outer(x))
        x = x + self.last(x)
        return self.head(self.pick([before, x]).mean((2, 3)))


class Celled(ModelSpace):
    """Two cells of NNI that share their choices, the ops made by factories that know the input."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 8, 3)
        factories = {
            "conv": lambda node, op, source: conv(8, 8, 3 if source == 0 else 1),
            "pool": lambda node, op, source: nn.AvgPool2d(3, 1, 1),
            "skip": lambda node, op, source: nn.Identity(),
        }
        self.first = Cell(factories, num_nodes=2, num_ops_per_node=2, label="cell")
        self.between = conv(16, 8, 1, stride=2)
        self.second = Cell(factories, num_nodes=2, num_ops_per_node=2, label="cell")
        self.head = nn.Conv2d(16, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.second([self.between(self.first([self.stem(x)]))])
        return self.head(x).mean((2, 3))


class Bare(ModelSpace):
    """Nothing but what a function makes."""

    def __init__(self, make: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.body = make()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body([x, x] if isinstance(self.body, Cell | InputChoice) else x)
