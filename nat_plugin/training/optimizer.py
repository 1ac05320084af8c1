"""SGD over whichever parameters took part in a step, with clipping and loss scaling, without waiting for the device."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nat_plugin.device import Compute
from nat_plugin.settings import State


class Optimizer:
    """SGD with momentum. Every parameter has its own momentum, which rests while the parameter does not take part.

    A step whose gradients are not finite is left out, in any precision: in a supernet one broken path would otherwise
    ruin the weights that all share. That decision is made on the device (by torch's gradient scaler and fused SGD), so
    no step waits for a value.
    """

    def __init__(
        self,
        named: Iterable[tuple[str, nn.Parameter]],
        compute: Compute,
        *,
        momentum: float,
        weight_decay: float,
        grad_clip: float,
    ) -> None:
        """``named``: every parameter that may ever take part. ``grad_clip`` 0 is no limit."""
        self._names = {parameter: name for name, parameter in named}
        self._grad_clip = grad_clip
        self._sgd = torch.optim.SGD(self._names, lr=0.0, momentum=momentum, weight_decay=weight_decay, fused=True)
        # Without float16 the scale stays at 1.
        self._fixed_scale = None if compute.autocast is torch.float16 else 1.0
        self._scaler = torch.amp.GradScaler(compute.device.type, self._fixed_scale or 2.0**16)

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of a scalar loss."""
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]

    def step(self, parameters: Sequence[nn.Parameter], lr: float) -> None:
        """Move ``parameters`` along their gradients, which are gone afterwards. The gradients of all others must be
        None; parameters without one stay as they are."""
        active = [parameter for parameter in parameters if parameter.grad is not None]
        for parameter in active:
            state = self._sgd.state[parameter]
            if "momentum_buffer" not in state:
                # From zero the first step is what SGD's own would be, and it can be left out without leaving rubbish.
                state["momentum_buffer"] = torch.zeros_like(parameter)
        group = self._sgd.param_groups[0]
        group["params"], group["lr"] = active, lr
        self._scaler.unscale_(self._sgd)
        if self._grad_clip:
            nn.utils.clip_grad_norm_(active, self._grad_clip)
        self._scaler.step(self._sgd)
        self._scaler.update(self._fixed_scale)
        for parameter in active:
            parameter.grad = None

    def state(self) -> State:
        """Copies on the CPU: momentum by name of the parameter, and the state of loss scaling."""
        moved = self._sgd.state
        buffers = {name: moved[each]["momentum_buffer"] for each, name in self._names.items() if each in moved}
        return {"momentum": snapshot(buffers), "scaler": dict(self._scaler.state_dict())}

    def restore(self, state: State) -> None:
        """Go on from a state of ``state``."""
        self._sgd.state.clear()
        saved: Mapping[str, Tensor] = state["momentum"]
        for parameter, name in self._names.items():
            if name in saved:
                self._sgd.state[parameter]["momentum_buffer"] = torch.empty_like(parameter).copy_(saved[name])
        self._scaler.load_state_dict(state["scaler"])


def snapshot(tensors: Mapping[str, Any]) -> dict[str, Tensor]:
    """Copies on the CPU that later steps leave alone."""
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}
