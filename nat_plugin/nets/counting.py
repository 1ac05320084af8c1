"""What a torch module truly costs: the check on the costs that the IR adds up."""

from __future__ import annotations

import torch
from torch import nn

from nat_plugin.ir.costs import Cost
from nat_plugin.ir.layers import Shape


def count(module: nn.Module, input: Shape) -> Cost:
    """Parameters by ``numel`` and MACs of one image (C, H, W) by ``FlopCounterMode`` / 2, in evaluation mode, on the
    device of the module (``meta`` computes nothing)."""
    from torch.utils.flop_counter import FlopCounterMode  # here alone: it has the compiler of kernels imported

    parameters = list(module.parameters())
    device = parameters[0].device if parameters else torch.device("cpu")
    training = module.training
    counter = FlopCounterMode(display=False)
    module.eval()
    try:
        with torch.no_grad(), counter:
            module(torch.empty(1, *input, device=device))
    finally:
        module.train(training)
    return Cost(sum(parameter.numel() for parameter in parameters), counter.get_total_flops() // 2)
