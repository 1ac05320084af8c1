"""What tests of ``compact`` share: digits as loaders, a small model, short settings."""

from __future__ import annotations

from typing import Any

import timm
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from nat_plugin.device import Compute

CPU = Compute(torch.device("cpu"))
QUICK: dict[str, Any] = {
    "search": {"warmup": 8, "rounds": 2, "proposals": 3, "steps": 2},
    "tuning": {"epochs": 1},
    "candidates": 2,
    "device": "cpu",
    "input": (3, 16, 16),
}
X, Y = torch.zeros(4, 3, 16, 16), torch.tensor([0, 1, 2, 9])


def loaders(train: int = 128, val: int = 100) -> tuple[DataLoader, DataLoader]:
    """Digits of 16x16 in three channels; those to measure on are sorted by class."""
    x, y = load_digits(return_X_y=True)
    images = torch.tensor(x, dtype=torch.float32).view(-1, 1, 8, 8).repeat_interleave(2, 2).repeat_interleave(2, 3)
    images, labels = (images / 8 - 1).expand(-1, 3, -1, -1), torch.tensor(y)
    first = TensorDataset(images[:train], labels[:train])
    order = labels[train : train + val].argsort() + train
    return DataLoader(first, 32, shuffle=True), DataLoader(TensorDataset(images[order], labels[order]), 50)


def model(name: str = "mobilenetv2_035") -> nn.Module:
    torch.manual_seed(0)
    found: nn.Module = timm.create_model(name, num_classes=10)
    return found
