"""What an op is, as numbers: taken from its layers as data, so that ops never seen and ops of plugins have one too.

No number is an index in a list of known ops. Counts and sizes are scaled to be about 1 for common ops.
"""

from __future__ import annotations

from math import log10

import numpy as np

from nat_plugin.errors import NATError
from nat_plugin.ir import Op, Role, Site
from nat_plugin.ir.layers import Act, Conv, FactorizedReduce, Layer, Norm, Opaque, Pool, SqueezeExcite
from nat_plugin.ir.ops import op_cost, op_kind

VERSION = 2
"""Of the meaning of the numbers below and in ``graphs``: a policy file of another version is refused."""

CHANNELS, SIZE = 48, 16
SITES = {
    "same": Site(CHANNELS, CHANNELS, 1, SIZE, SIZE),
    "strided": Site(CHANNELS, CHANNELS, 2, SIZE, SIZE),
    "wider": Site(CHANNELS, 2 * CHANNELS, 1, SIZE, SIZE),
    "wider strided": Site(CHANNELS, 2 * CHANNELS, 2, SIZE, SIZE),
}
"""Where an op is looked at: four typical places for an edge."""

_ACTS = ("relu", "relu6", "silu", "hardswish")


def _field(layers: tuple[Layer, ...], axis: int) -> float:
    """Receptive field along an axis, in pixels of the input."""
    field, step = 1, 1
    for layer in layers:
        if isinstance(layer, Conv):
            field += (layer.kernel[axis] - 1) * layer.dilation * step
            step *= layer.stride[axis]
        elif isinstance(layer, Pool):
            field += (layer.kernel - 1) * step
            step *= layer.stride
        elif isinstance(layer, FactorizedReduce):
            field, step = field + step, 2 * step
    return field


def _at_site(op: Op, site: Site) -> list[float]:
    """The numbers of an op at one site; all zero where it is not legal."""
    try:
        layers = op.layers(site)
        params, macs = op_cost(op, site)
    except NATError:
        return [0.0] * _PER_SITE
    convs = [layer for layer in layers if isinstance(layer, Conv)]
    pools = [layer for layer in layers if isinstance(layer, Pool)]
    squeezes = [layer for layer in layers if isinstance(layer, SqueezeExcite)]
    spatial = [conv for conv in convs if conv.kernel != (1, 1)]
    grouped = [conv for conv in convs if conv.groups > 1]
    acts = [layer.function for layer in layers if isinstance(layer, Act)]
    first = spatial[0].kernel if spatial else (0, 0)
    return [
        1.0,
        len(layers) / 8,
        len(convs) / 4,
        len(spatial) / 2,
        len(grouped) / 2,
        sum(conv.groups / conv.c_in for conv in grouped) / 2,
        sum(isinstance(layer, Norm) for layer in layers) / 2,
        *(acts.count(name) / 2 for name in _ACTS),
        sum(name not in _ACTS for name in acts) / 2,
        max((conv.kernel[0] for conv in convs), default=0) / 5,
        max((conv.kernel[1] for conv in convs), default=0) / 5,
        (first[0] - first[1]) / 5,
        max((conv.dilation for conv in convs), default=0) / 2,
        _field(layers, 0) / 9,
        _field(layers, 1) / 9,
        max((conv.c_out for conv in convs), default=0) / CHANNELS / 4,
        min((conv.c_out for conv in convs), default=0) / CHANNELS / 4,
        sum(conv.bias for conv in convs) / 2,
        sum(pool.function == "max" for pool in pools) / 1.0,
        sum(pool.function == "avg" for pool in pools) / 1.0,
        sum(pool.function not in ("max", "avg") for pool in pools) / 1.0,
        max((pool.kernel for pool in pools), default=0) / 5,
        len(squeezes) / 1.0,
        sum(layer.reduced for layer in squeezes) / CHANNELS,
        sum(isinstance(layer, FactorizedReduce) for layer in layers) / 1.0,
        sum(isinstance(layer, Opaque) for layer in layers) / 1.0,
        log10(1 + params) / 5,
        log10(1 + macs) / 7,
    ]


_PER_SITE = 31
WIDTH = len(Role) + 1 + _PER_SITE * len(SITES)
"""Numbers of a description."""

_NUMBERS: dict[Op, int] = {}
_ROWS = np.zeros((64, WIDTH), np.float32)


def describe(op: Op) -> np.ndarray:
    """The description of an op, (``WIDTH``,) float32: role, residual, then its layers at each of ``SITES``."""
    kind = op_kind(op.kind)
    values = [float(kind.role is role) for role in Role] + [float(kind.residual)]
    for site in SITES.values():
        values += _at_site(op, site)
    return np.array(values, np.float32)


def op_number(op: Op) -> int:
    """A number for the op, good within this process only: the row of its description in ``descriptions``."""
    global _ROWS
    number = _NUMBERS.get(op)
    if number is None:
        row = describe(op)
        number = len(_NUMBERS)
        if number == len(_ROWS):
            _ROWS = np.concatenate([_ROWS, np.zeros_like(_ROWS)])
        _ROWS[number] = row
        _NUMBERS[op] = number
    return number


def descriptions(numbers: np.ndarray) -> np.ndarray:
    """The descriptions of ops by their ``op_number``, (len(numbers), ``WIDTH``) float32."""
    rows: np.ndarray = _ROWS[numbers]
    return rows


def ops_of(numbers: np.ndarray) -> tuple[Op, ...]:
    """The ops that have these numbers."""
    known = list(_NUMBERS)
    return tuple(known[number] for number in numbers)
