"""What the tests of the timm adapter share: models with lively statistics, networks moved at random."""

from __future__ import annotations

import os

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import timm
import torch
from torch import nn

from nat_plugin.ir import Budget, Moves, Network, find_rule

SPAN = (  # small models of many classes of blocks; benchmarks/experiments/timm/faithful.py has the whole list
    ("mobilenetv2_050", 64),
    ("mobilenetv3_small_050", 64),
    ("mobilenetv4_conv_small_050", 64),
    ("resnet18", 64),
    ("regnety_002", 64),
    ("convnext_atto", 64),
    ("ghostnet_050", 64),
    ("hrnet_w18_small", 64),
)
CLASSES = 7


def lively(name: str, classes: int = CLASSES, seed: int = 0, **args: object) -> nn.Module:
    """A model in evaluation mode with random weights whose norms do something, each channel another thing."""
    torch.manual_seed(seed)
    model: nn.Module = timm.create_model(name, num_classes=classes, **args)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
                module.weight.uniform_(0.5, 1.5)
    return model.eval()


def images(size: int, number: int = 2, seed: int = 1) -> torch.Tensor:
    return torch.randn(number, 3, size, size, generator=torch.Generator().manual_seed(seed))


def moved(network: Network, rule: str, seed: int, budget: float | None = None) -> Network:
    """A network reached by a random walk, within a share of the MACs."""
    limits = Budget.parse({"macs": f"{budget}x"}).resolve(network) if budget is not None else None
    moves = Moves(network, find_rule(rule), limits)
    after = moves.apply(moves.sample(np.random.default_rng(seed)))
    moves.verify(after)
    return after
