"""Costs of frozen models, counted with torch on the meta device: nothing is computed, no memory is used."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from nat_plugin.errors import NATError
from nat_plugin.ir.costs import Cost
from nat_plugin.ir.layers import Shape


def count(module: torch.nn.Module, *inputs: torch.Tensor) -> Cost:
    """Parameters and MACs of a module in evaluation mode, for a batch of one on whatever device it is."""
    module.eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(*inputs)
    return Cost(sum(each.numel() for each in module.parameters()), counter.get_total_flops() // 2)


def count_frozen(space: Any, sample: Mapping[str, Any], input: Shape) -> Cost:
    """The cost of the model that NNI makes of a sample. NATError where it cannot be frozen or run."""
    with torch.device("meta"):
        try:
            model = copy.deepcopy(space.freeze(dict(sample))).to("meta")  # it has weights of the space
            return count(model, torch.empty(1, *input))
        except (RuntimeError, ValueError, TypeError, AssertionError) as error:
            raise NATError(f"{type(space).__name__}: this sample does not run on {input}: {error}") from None
