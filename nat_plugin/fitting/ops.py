"""Ops of cells: the last linear part of one, and the norm behind it, fitted to what another op gave in its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nat_plugin.fitting.linear import MAX_INPUTS, LinearMap
from nat_plugin.fitting.moments import Moments
from nat_plugin.fitting.sampling import add_batch, empty_moments, is_held, moments_bytes
from nat_plugin.fitting.solving import solve
from nat_plugin.fitting.windows import Window
from nat_plugin.ir.layers import Conv, FactorizedReduce, Layer, Norm
from nat_plugin.nets.blocks import FactorizedReduction, Residual


def fitted_from(layers: Sequence[Layer]) -> int | None:
    """The number of the first layer that is fitted: of the last convolution, with a depthwise one right before it, or
    of a factorized reduction. None where the op does not end so (and with a norm), or reads too much for sums of
    products."""
    if len(layers) < 2 or not isinstance(layers[-1], Norm):
        return None
    last = len(layers) - 2
    if isinstance(layers[last], FactorizedReduce):
        return last
    for first in (last - 1, last):
        tail = layers[max(0, first) : last + 1]
        if first >= 0 and _is_map(tail) and _map(tail).inputs <= MAX_INPUTS:
            return first
    return None


def _is_map(tail: Sequence[Layer]) -> bool:
    convs = [each for each in tail if isinstance(each, Conv)]
    if len(convs) < len(tail):
        return False
    return len(convs) == 1 or (_map(tail).is_separable and convs[1] == Conv(convs[0].c_out, convs[1].c_out))


def _map(tail: Sequence[Layer]) -> LinearMap:
    return LinearMap.of(*(each for each in tail if isinstance(each, Conv)))


def layers_of(module: nn.Module) -> list[nn.Module]:
    """The modules of the layers of an op."""
    body = module.body if isinstance(module, Residual) else module
    return list(body) if isinstance(body, nn.Sequential) else []


@dataclass(eq=False)
class _Piece:
    """Some of the outputs, and the convolutions that make them."""

    fitted: LinearMap
    convs: tuple[nn.Conv2d, ...]
    outputs: slice
    moments: tuple[Moments, Moments] | None = None


@dataclass(frozen=True)
class OpFit:
    """``residual``: what is left unexplained of the spread of the outputs, on pictures that were held out."""

    residual: float
    ridge: float


class OpFitting:
    """The op ``module`` of ``layers``, which gets weights in place. The first ``begun`` layers have some already (the
    others before the fitted ones copy what they read); where all do, it keeps them if they come nearer on pictures held
    out. Its norms use the statistics of the batch."""

    def __init__(self, module: nn.Module, layers: Sequence[Layer], begun: int) -> None:
        first = fitted_from(layers)
        assert first is not None
        self._module, self._begun, self._has_all = module, begun, begun == len(layers)
        modules = layers_of(module)
        self._head, tail = modules[:first], modules[first:]
        norm = tail.pop()
        assert isinstance(norm, _BatchNorm)
        self._norm = norm
        self._pieces = list(_pieces(layers[first:-1], tail))
        self._outputs: Tensor | None = None
        """Of all pixels, by channel: their number, sum, and sum of squares."""
        self._error = 0.0
        self._held: list[Tensor] = []

    @property
    def bytes(self) -> int:
        """Of the sums of products."""
        return sum(moments_bytes(each.fitted) for each in self._pieces)

    @property
    def has_rows(self) -> bool:
        return all(each.moments is not None for each in self._pieces)

    @torch.no_grad()
    def add(self, x: Tensor, y: Tensor, number: int, count: int, seed: int) -> None:
        """What goes in and is to come out for pictures, the first of which is the ``number``-th of ``count``."""
        if self._has_all:
            held = is_held(number, len(y), y.device)
            self._error += float((self._module(x)[held] - y[held]).double().square().sum())
            self._held.append(y[held].double().transpose(0, 1).flatten(1))
        if isinstance(self._module, Residual):
            y = y - x
        for at, layer in enumerate(self._head):
            if number == 0 and at >= self._begun and isinstance(layer, _BatchNorm):
                _pass_on(layer, x)
            x = layer(x)
        values = y.double().transpose(0, 1).flatten(1)
        sums = torch.stack([torch.full_like(values[:, 0], values.shape[1]), values.sum(1), values.square().sum(1)])
        self._outputs = sums if self._outputs is None else self._outputs + sums
        for piece in self._pieces:
            if piece.moments is None:
                piece.moments = empty_moments(piece.fitted, x.device)
            add_batch(piece.moments, piece.fitted, x, y[:, piece.outputs], number, count, seed)

    @torch.no_grad()
    def install(self, ridge: float | None = None) -> OpFit:
        """Gives the weights."""
        found, unexplained, spread = [], 0.0, 0.0
        for piece in self._pieces:
            assert piece.moments is not None
            both = piece.moments[0] + piece.moments[1]
            solution = solve(piece.fitted, *piece.moments, ridge=ridge, both=both)
            ridge = solution.ridge
            found.append((piece, solution, both))
            unexplained += solution.residual * piece.moments[1].spread
            spread += piece.moments[1].spread
        residual = unexplained / max(spread, 1e-300)
        begun = self._residual_at_first()
        if begun is not None and begun <= residual:
            return OpFit(begun, ridge or 0.0)
        for piece, solution, both in found:
            for conv, weight in zip(piece.convs, solution.weights, strict=True):
                conv.weight.copy_(weight)
            self._set_norm(piece, solution.whole, both)
        return OpFit(residual, ridge or 0.0)

    def _residual_at_first(self) -> float | None:
        if not self._has_all or not self._held:
            return None
        values = torch.cat(self._held, 1)
        return self._error / max(float((values - values.mean(1, keepdim=True)).square().sum()), 1e-300)

    def _set_norm(self, piece: _Piece, whole: Tensor, both: Moments) -> None:
        """To give what the convolutions give, whose mean and deviation it takes away, with the bias that they lack. The
        sums of products are of some pixels only: what they say is the share of the variance of the outputs."""
        assert self._outputs is not None
        count, total, squares = self._outputs[:, piece.outputs]
        mean, rows = total / count, max(both.rows, 1)
        seen = both.square / rows - both.mean[1] ** 2
        share = ((both.centred[0] @ whole) * whole).sum(0) / rows / seen.clamp(min=1e-30)
        variance = (squares / count - mean**2).clamp(min=0) * share
        self._norm.weight[piece.outputs] = (variance + self._norm.eps).sqrt().to(self._norm.weight)
        self._norm.bias[piece.outputs] = mean.to(self._norm.bias)


def _pass_on(norm: _BatchNorm, x: Tensor) -> None:
    """Have a norm give what it gets."""
    variance, mean = torch.var_mean(x, (0, 2, 3), correction=0)
    norm.weight.copy_((variance + norm.eps).sqrt())
    norm.bias.copy_(mean)


def _pieces(layers: Sequence[Layer], modules: Sequence[nn.Module]) -> list[_Piece]:
    last = layers[-1]
    if not isinstance(last, FactorizedReduce):
        convs = tuple(each for each in modules if isinstance(each, nn.Conv2d))
        return [_Piece(_map(layers), convs, slice(None))]
    (reduction,) = modules
    assert isinstance(reduction, FactorizedReduction)
    found, start = [], 0
    for shift, conv in enumerate((reduction.even, reduction.odd)):
        if conv is not None:
            half = Conv(last.c_in, conv.out_channels, stride=(2, 2))
            window = replace(Window.of(half), shift=shift)
            outputs = slice(start, start + conv.out_channels)
            found.append(_Piece(LinearMap((half,), window), (conv,), outputs))
            start += conv.out_channels
    return found
