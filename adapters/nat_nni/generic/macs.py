"""Multiply-accumulates by torch's own formulas, on meta tensors, without torch's detours.

``FlopCounterMode`` gives the same sums. But the meta forms of batch norm and of some activations are Python code of
several milliseconds, and all that is wanted of them is a shape.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

_ATEN = torch.ops.aten
_SAME_SHAPE = {
    _ATEN.relu.default,
    _ATEN.hardtanh.default,
    _ATEN.hardswish.default,
    _ATEN.hardsigmoid.default,
    _ATEN.silu.default,
    _ATEN.sigmoid.default,
}


class MACCounter(TorchDispatchMode):
    """Counts what is computed inside: ``with MACCounter() as counter: …; counter.macs``."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
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
        output = func(*args, **kwargs)
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            self._flops += formula(*args, **kwargs, out_val=output)
        return output
