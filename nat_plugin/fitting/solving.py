"""Weights of a linear map in closed form, from moments of what goes in and what is to come out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from nat_plugin.fitting.linear import LinearMap
from nat_plugin.fitting.moments import Moments
from nat_plugin.ir.layers import Pair

RIDGES = (1e-9, 1e-5, 1e-3, 1e-2, 1e-1)
"""Of which one is chosen on pictures held out, as a share of the mean square of an input."""
TURNS = 4
"""Of alternating least squares."""


@dataclass(frozen=True, eq=False)
class Solution:
    """Weights of the layers of a map, the bias of the last one, and what is left unexplained of the spread of the
    outputs on pictures that were held out."""

    weights: tuple[Tensor, ...]
    bias: Tensor
    residual: float
    ridge: float
    whole: Tensor
    """The weights of all layers as one matrix (inputs, outputs)."""


def solve(
    fitted: LinearMap,
    moments: Moments,
    held_out: Moments,
    start: Tensor | None = None,
    ridge: float | None = None,
    both: Moments | None = None,
) -> Solution:
    """Weights by ridge regression. ``moments`` and ``held_out`` are of rows of windows of the map; the ridge that is
    best for ``held_out``, if none is given, is taken for both together. ``start`` (inputs, outputs): the weights that
    the ridge draws to, zeros if left out. ``both``: the two together, where that is known."""
    towards, shape = None if start is None else start.to(moments.xy), _shape(fitted)
    scores: dict[float, float] = {}
    if ridge is None:
        ridge, scores = _best(fitted, moments, held_out, towards)
    is_scored = ridge in scores and len(fitted.layers) == fitted.layers[0].groups == 1
    residual = scores[ridge] if is_scored else _score(shape, fitted, moments, held_out, ridge, towards)
    layers, whole, bias = _layers(shape, fitted, both or moments + held_out, ridge, towards)
    return Solution(layers, bias, residual, ridge, whole)


def best_ridge(fitted: LinearMap, moments: Moments, held_out: Moments, start: Tensor | None = None) -> float:
    """The ridge that ``solve`` chooses; for the dense convolution that other maps approximate, downhill from the ridge
    in the middle."""
    return _best(fitted, moments, held_out, None if start is None else start.to(moments.xy))[0]


def _best(fitted: LinearMap, known: Moments, held: Moments, towards: Tensor | None) -> tuple[float, dict[float, float]]:
    """The best ridge, and what a dense convolution leaves unexplained with each that was tried."""
    scores: dict[float, float] = {}

    def at(number: int) -> float:
        ridge = RIDGES[number]
        if ridge not in scores:
            scores[ridge] = _score(_dense, fitted, known, held, ridge, towards)
        return scores[ridge]

    best = len(RIDGES) // 2
    for step in (-1, 1):
        while 0 <= best + step < len(RIDGES) and at(best + step) < at(best):
            best += step
    return RIDGES[best], scores


def _score(
    shape: Solver, fitted: LinearMap, known: Moments, held: Moments, ridge: float, towards: Tensor | None
) -> float:
    try:
        _, whole, bias = _layers(shape, fitted, known, ridge, towards)
    except RuntimeError:  # the products are singular: too few rows for such a small ridge
        return float("inf")
    return held.error(whole, bias) / max(held.spread, 1e-300)


def _layers(
    shape: Solver, fitted: LinearMap, moments: Moments, ridge: float, towards: Tensor | None
) -> tuple[tuple[Tensor, ...], Tensor, Tensor]:
    """The weights of each layer, what they are together as one matrix (inputs, outputs), and the bias."""
    xy = moments.centred[1]
    if towards is not None:
        xy = xy + moments.penalty(ridge) * towards
    weights, whole = shape(fitted, moments.grown(ridge), xy, lambda: moments.factor(ridge))
    x, y = moments.mean
    return weights, whole, y - x @ whole


def _dense(fitted: LinearMap, _: Tensor, xy: Tensor, factor: Factor) -> tuple[tuple[Tensor, ...], Tensor]:
    whole = torch.cholesky_solve(xy, factor())
    return (_kernel(whole, fitted.window.kernel),), whole


def _convolution(fitted: LinearMap, xx: Tensor, xy: Tensor, factor: Factor) -> tuple[tuple[Tensor, ...], Tensor]:
    groups = fitted.layers[0].groups
    if groups == 1:
        return _dense(fitted, xx, xy, factor)
    whole, kernels = torch.zeros_like(xy), []
    ins, outs = len(xx) // groups, xy.shape[1] // groups
    for number in range(groups):
        rows, columns = slice(number * ins, (number + 1) * ins), slice(number * outs, (number + 1) * outs)
        whole[rows, columns] = _solved(xx[rows, rows], xy[rows, columns])
        kernels.append(_kernel(whole[rows, columns], fitted.window.kernel))
    return (torch.cat(kernels),), whole


def _low_rank(fitted: LinearMap, xx: Tensor, xy: Tensor, factor: Factor) -> tuple[tuple[Tensor, ...], Tensor]:
    """Reduced-rank regression: the outputs of the full one, in the directions in which they spread most."""
    full = torch.cholesky_solve(xy, factor())
    spread = full.T @ xx @ full
    basis = torch.linalg.eigh((spread + spread.T) / 2).eigenvectors[:, -fitted.layers[0].c_out :]
    first = full @ basis
    return (_kernel(first, fitted.window.kernel), basis[..., None, None]), first @ basis.T


def _separable(fitted: LinearMap, xx: Tensor, xy: Tensor, factor: Factor) -> tuple[tuple[Tensor, ...], Tensor]:
    """Alternating least squares for the depthwise and the 1x1 weights, from the best rank one of each channel of the
    full regression."""
    channels, area, outputs = fitted.channels, fitted.window.area, xy.shape[1]
    full = torch.cholesky_solve(xy, factor()).view(channels, area, outputs)
    depthwise = torch.linalg.eigh(full @ full.mT).eigenvectors[:, :, -1]
    squares, products = xx.view(channels, area, channels, area), xy.view(channels, area, outputs)

    def best_pointwise() -> Tensor:
        inner = torch.einsum("ct,ctds,ds->cd", depthwise, squares, depthwise)
        return _solved(_lifted(inner), torch.einsum("ct,cto->co", depthwise, products))

    pointwise = best_pointwise()
    for _ in range(TURNS):
        wanted = torch.einsum("co,cto->ct", pointwise, products).reshape(-1, 1)
        grown = (squares * (pointwise @ pointwise.T)[:, None, :, None]).reshape(len(xx), len(xx))
        found = _solved(_lifted(grown), wanted).view(channels, area)
        depthwise = found / found.norm(dim=1, keepdim=True).clamp(min=1e-12)
        pointwise = best_pointwise()
    whole = (depthwise[:, :, None] * pointwise[:, None, :]).reshape(len(xx), outputs)
    first = depthwise.view(channels, 1, *fitted.window.kernel)
    return (first, pointwise.T[..., None, None]), whole


def _lifted(xx: Tensor) -> Tensor:
    """With a little on the diagonal: a channel that nothing reads has no products."""
    made = xx.clone()
    made.diagonal().add_(1e-12 * xx.diagonal().mean().clamp(min=1e-12))
    return made


def _solved(xx: Tensor, xy: Tensor) -> Tensor:
    return torch.cholesky_solve(xy, torch.linalg.cholesky(xx))


def _kernel(whole: Tensor, kernel: Pair) -> Tensor:
    """A matrix (channels x kernel, outputs) as the weights of a convolution."""
    return whole.T.reshape(whole.shape[1], -1, *kernel)


def _shape(fitted: LinearMap) -> Solver:
    if len(fitted.layers) == 1:
        return _convolution
    return _separable if fitted.is_separable else _low_rank


Factor: TypeAlias = Callable[[], Tensor]
Solver: TypeAlias = Callable[[LinearMap, Tensor, Tensor, Factor], tuple[tuple[Tensor, ...], Tensor]]
"""From the map, the products of inputs and those with outputs, and the factor of the former: the weights of each
layer, and what they are together."""
