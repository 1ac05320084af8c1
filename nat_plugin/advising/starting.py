"""What the layers of an op begin with: weights of the op that it replaces, as far as the two are alike."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nat_plugin.fitting.ops import fitted_from, layers_of
from nat_plugin.ir import Op, Site
from nat_plugin.ir.layers import Conv, FactorizedReduce, Layer, Norm, Opaque, SqueezeExcite

_WEIGHTED = (Conv, FactorizedReduce, SqueezeExcite, Opaque)


def inherits(own: Op, op: Op, sites: Sequence[Site]) -> bool:
    """Whether an op needs no weights, or may have those of the op that it replaces: the same layers with windows no
    larger, whose centres stay."""
    return all(_inherits(_layers(own, site), op.layers(site)) for site in sites)


def is_fitted(own: Op, op: Op, sites: Sequence[Site]) -> bool:
    """Whether an op can be fitted to what the one that it replaces computes."""
    return not own.is_null and all(
        any(isinstance(layer, _WEIGHTED) for layer in op.layers(site)) and fitted_from(op.layers(site)) is not None
        for site in sites
    )


def _layers(op: Op, site: Site) -> tuple[Layer, ...]:
    return () if op.is_null else op.layers(site)


def _inherits(old: Sequence[Layer], layers: Sequence[Layer]) -> bool:
    if not any(isinstance(layer, _WEIGHTED) for layer in layers):
        return True
    return len(old) == len(layers) and all(
        _is_part(layer, old_layer) for old_layer, layer in zip(old, layers, strict=True)
    )


def _is_part(layer: Layer, old: Layer, narrower: bool = False) -> bool:
    """``narrower``: it may have fewer channels out, and what follows it fewer channels."""
    if isinstance(layer, Conv) and isinstance(old, Conv):
        windows = zip(layer.kernel, old.kernel, strict=True)
        same = (layer.dilation, layer.bias) == (old.dilation, old.bias)
        fits = same and all(k <= old_k and (old_k - k) % 2 == 0 for k, old_k in windows)
        if narrower:
            return fits and (layer.groups > 1) == (old.groups > 1) and _is_narrower(layer, old)
        alike = (layer.c_in, layer.c_out, layer.stride, layer.groups)
        return fits and alike == (old.c_in, old.c_out, old.stride, old.groups)
    if narrower and isinstance(layer, Norm) and isinstance(old, Norm):
        return layer.channels <= old.channels
    if narrower and isinstance(layer, SqueezeExcite) and isinstance(old, SqueezeExcite):
        return layer.channels <= old.channels and layer.reduced == old.reduced
    return layer == old


def _is_narrower(layer: Conv, old: Conv) -> bool:
    if layer.groups > 1 and not (layer.groups == layer.c_in == layer.c_out and old.groups == old.c_in == old.c_out):
        return (layer.c_in, layer.c_out, layer.groups) == (old.c_in, old.c_out, old.groups)
    return layer.c_in <= old.c_in and layer.c_out <= old.c_out


@torch.no_grad()
def begin(own: Op, op: Op, site: Site, its: nn.Module | None, mine: nn.Module) -> None:
    """Give the first layers of ``mine``, the module of ``op``, weights of those of ``its``, the module of ``own``, as
    far as they are alike. Convolutions after them copy what they read."""
    layers, modules = op.layers(site), layers_of(mine)
    before, theirs = (_layers(own, site), layers_of(its)) if its is not None else ((), [])
    count = alike(own, op, site) if its is not None else 0
    kept = _kept(before, theirs, layers[:count])
    for module, source in zip(modules[:count], theirs, strict=False):
        for parameter, value in zip(module.parameters(), source.parameters(), strict=True):
            parameter.copy_(_part(value, parameter.shape, kept))
    for module in modules[count:]:
        for conv in module.modules():
            if isinstance(conv, nn.Conv2d):
                nn.init.dirac_(conv.weight, conv.groups)


def alike(own: Op, op: Op, site: Site) -> int:
    """How many of the first layers of an op can have weights of another: all where it inherits."""
    before, layers = _layers(own, site), op.layers(site)
    return len(layers) if _inherits(before, layers) else _alike(before, layers)


def _alike(old: Sequence[Layer], layers: Sequence[Layer]) -> int:
    """How many of the first layers, before those that are fitted, are parts of those of another op. Fewer channels are
    parts where all are hidden ones of one width."""
    first = fitted_from(layers) or 0
    number = 0
    for old_layer, layer in zip(old, layers[:first], strict=False):
        is_narrow = len(_widths(old, layers[: number + 1])) < 2
        if not _is_part(layer, old_layer, is_narrow):
            break
        number += 1
    while number and isinstance(layers[number], Norm):  # a norm is not parted from its convolution
        number -= 1
    return number


def _widths(old: Sequence[Layer], layers: Sequence[Layer]) -> set[tuple[int, int]]:
    """Channels out of convolutions, before and after, where they are fewer."""
    pairs = [
        (before.c_out, after.c_out)
        for before, after in zip(old, layers, strict=False)
        if isinstance(before, Conv) and isinstance(after, Conv)
    ]
    return {(before, after) for before, after in pairs if before > after}


def _kept(old: Sequence[Layer], modules: Sequence[nn.Module], layers: Sequence[Layer]) -> Tensor | None:
    """Of hidden channels those that the last convolution reads most of, where fewer are left."""
    widths = _widths(old, layers)
    convs = [module for module in modules if isinstance(module, nn.Conv2d)]
    if not widths:
        return None
    ((before, after),) = widths
    weight = convs[-1].weight
    if weight.shape[1] != before:
        return torch.arange(after, device=weight.device)
    return weight.square().sum((0, 2, 3)).topk(after).indices.sort().values


def _part(value: Tensor, shape: torch.Size, kept: Tensor | None) -> Tensor:
    """Of channels those that are kept, of windows the middle."""
    for axis in range(min(2, value.dim())):
        if value.shape[axis] > shape[axis]:
            assert kept is not None
            value = value.index_select(axis, kept)
    if value.shape == shape:
        return value
    down, right = ((before - after) // 2 for before, after in zip(value.shape[2:], shape[2:], strict=True))
    return value[:, :, down : down + shape[2], right : right + shape[3]]
