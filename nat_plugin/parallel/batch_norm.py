"""Batch norm over the images of all processes.

``torch.nn.SyncBatchNorm`` computes on GPUs only and takes the place of modules, of which an adapter may have kinds of
its own (with an activation, say). Here the function that all of them call is another one for as long as a step takes.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from nat_plugin.parallel.ranks import Ranks

_SIGNATURE = inspect.signature(F.batch_norm)


class SharedBatchNorm(TorchFunctionMode):
    """Within, ``F.batch_norm`` in training uses the statistics of the batches of all processes together."""

    def __init__(self, ranks: Ranks) -> None:
        super().__init__()
        self._ranks = ranks

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is not F.batch_norm:
            return func(*args, **(kwargs or {}))
        bound = _SIGNATURE.bind(*args, **(kwargs or {}))
        bound.apply_defaults()
        return self._batch_norm(bound.arguments) if bound.arguments["training"] else F.batch_norm(*bound.args)

    def _batch_norm(self, given: Mapping[str, Any]) -> Tensor:
        """In training; arguments as ``F.batch_norm`` has them."""
        x, weight, bias, eps = (given[name] for name in ("input", "weight", "bias", "eps"))
        normalised: Tensor
        normalised, mean, variance, count = _Normalised.apply(x, weight, bias, eps, self._ranks)
        running_mean, running_var, momentum = (given[name] for name in ("running_mean", "running_var", "momentum"))
        if running_mean is not None and running_var is not None:
            with torch.no_grad():
                unbiased = variance * (count / (count - 1).clamp(min=1))
                running_mean.lerp_(mean.to(running_mean.dtype), momentum)
                running_var.lerp_(unbiased.to(running_var.dtype), momentum)
        return normalised


class _Normalised(torch.autograd.Function):
    """Input (N, C, …) with mean 0 and deviation 1 in each channel of all processes, times weight, plus bias; and mean,
    variance (C,) and number of the values of a channel."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, ranks: Ranks
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        channels = x.shape[1]
        variance, mean = torch.var_mean(_wide(x), _others(x), correction=0)
        own = torch.cat([mean, variance, mean.new_full((1,), x.numel() // channels)])
        means, variances, counts = torch.split(ranks.gather(own), [channels, channels, 1], 1)
        count = counts.sum()
        mean = (means * counts).sum(0) / count
        variance = ((variances + (means - mean) ** 2) * counts).sum(0) / count
        ctx.save_for_backward(x, weight, mean, torch.rsqrt(variance + eps), count)
        ctx.ranks = ranks
        ctx.mark_non_differentiable(mean, variance, count)
        return F.batch_norm(x, mean, variance, weight, bias, False, 0.0, eps), mean, variance, count

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *_: Any) -> Any:
        x, weight, mean, scale, count = ctx.saved_tensors
        shape = (1, -1, *[1] * (x.ndim - 2))
        wide, centred = _wide(grad), _wide(x) - mean.view(shape)
        own = torch.stack([wide.sum(_others(x)), (wide * centred).sum(_others(x))])
        all_of = own.clone()
        ctx.ranks.add([all_of])
        shift, slope = all_of / count
        inner = wide - shift.view(shape) - centred * (slope * scale**2).view(shape)
        factor = scale if weight is None else scale * weight
        needs = ctx.needs_input_grad
        return (
            (inner * factor.view(shape)).to(x.dtype) if needs[0] else None,
            (own[1] * scale).to(weight.dtype) if needs[1] else None,
            own[0] if needs[2] else None,
            None,
            None,
        )


def _wide(x: Tensor) -> Tensor:
    """In a type that sums may be taken in."""
    return x if x.dtype == torch.float64 else x.float()


def _others(x: Tensor) -> list[int]:
    """All dimensions but that of the channels."""
    return [0, *range(2, x.ndim)]
