"""What a torch module costs: the check on the costs that the IR adds up (``ir/layers.py``), and those of modules
that it lacks.

MACs are half of torch's FLOPs, by the formulas of ``torch.utils.flop_counter``. ``FlopCounterMode`` gives the same
sums, but keeps them for every module, and on the meta device has norms and activations computed in Python, of which
nothing but a shape is wanted.
"""

from __future__ import annotations

from itertools import chain
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from nat_plugin.ir.costs import Cost
from nat_plugin.ir.layers import Shape

_ATEN = torch.ops.aten
_SAME_SHAPE = {
    _ATEN.relu.default,
    _ATEN.hardtanh.default,
    _ATEN.hardswish.default,
    _ATEN.hardsigmoid.default,
    _ATEN.silu.default,
    _ATEN.sigmoid.default,
    _ATEN.gelu.default,
}


class MACCounter(TorchDispatchMode):
    """Counts what is computed inside: ``with MACCounter() as counter: …; counter.macs``."""

    def __init__(self) -> None:
        from torch.utils.flop_counter import flop_registry  # here alone: it has the compiler of kernels imported

        super().__init__()  # type: ignore[no-untyped-call]
        self._formulas = flop_registry
        self._flops = 0

    @property
    def macs(self) -> int:
        return self._flops // 2

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in _SAME_SHAPE and args[0].is_meta:
            return torch.empty_like(args[0])
        if func is _ATEN._native_batch_norm_legit_no_training.default and args[0].is_meta:
            return torch.empty_like(args[0]), args[0].new_empty(0), args[0].new_empty(0)
        formula = self._formulas.get(func._overloadpacket)
        if formula is None:
            with self:  # in inference mode what is made of other operations comes whole
                output = func.decompose(*args, **kwargs)
            return func(*args, **kwargs) if output is NotImplemented else output
        output = func(*args, **kwargs)
        self._flops += formula(*args, **kwargs, out_val=output)
        return output


def count(module: nn.Module, input: Shape) -> Cost:
    """Parameters and MACs of one image (C, H, W) in evaluation mode, on the device of the module (``meta`` computes
    nothing)."""
    tensors = chain(module.parameters(), module.buffers())
    image = torch.empty(1, *input, device=next((tensor.device for tensor in tensors), None))
    training = module.training
    module.eval()
    try:
        with torch.no_grad(), MACCounter() as counter:
            module(image)
    finally:
        module.train(training)
    return Cost(sum(parameter.numel() for parameter in module.parameters()), counter.macs)
