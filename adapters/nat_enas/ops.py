"""Operations of ENAS: what the integers mean, and the kinds of its macro space.

Source: melodyguan/enas ``src/cifar10/general_child.py`` and ``micro_child.py``. A macro branch brings its input to the
filters of the layer by ReLU, pointwise convolution and norm, and then applies the operation.
"""

from __future__ import annotations

from nat_plugin.ir import (
    SKIP,
    Act,
    Attributes,
    Conv,
    FactorizedReduce,
    Layer,
    Norm,
    Op,
    OpKind,
    Pool,
    Role,
    Site,
    relu_conv_norm,
)


def _kernel(attributes: Attributes) -> int:
    return int(attributes["k"])


def _conv(attributes: Attributes, site: Site) -> tuple[Layer, ...]:
    entry = relu_conv_norm(site.c_in, site.c_out, 1, site.stride)
    return entry + relu_conv_norm(site.c_out, site.c_out, _kernel(attributes))


def _sep_conv(attributes: Attributes, site: Site) -> tuple[Layer, ...]:
    c, k = site.c_out, _kernel(attributes)
    entry = relu_conv_norm(site.c_in, c, 1, site.stride)
    return (*entry, Act(), Conv(c, c, (k, k), groups=c), Conv(c, c), Norm(c))


def _avg_pool(attributes: Attributes, site: Site) -> tuple[Layer, ...]:
    return (*relu_conv_norm(site.c_in, site.c_out, 1, site.stride), Act(), Pool("avg", _kernel(attributes)))


def _max_pool(attributes: Attributes, site: Site) -> tuple[Layer, ...]:
    return (*relu_conv_norm(site.c_in, site.c_out, 1, site.stride), Act(), Pool("max", _kernel(attributes)))


def _merge(_attributes: Attributes, site: Site) -> tuple[Layer, ...]:
    """One source's share of the pointwise convolution over the concatenation of a layer's sources."""
    return (Act(), Conv(site.c_in, site.c_out))


def _reduce(_attributes: Attributes, site: Site) -> tuple[Layer, ...]:
    return (FactorizedReduce(site.c_in, site.c_out), Norm(site.c_out))


def _unstrided(_attributes: Attributes, site: Site) -> bool:
    return site.stride == 1


def _halving(_attributes: Attributes, site: Site) -> bool:
    return site.stride == 2 and site.c_out > 1


KINDS = (
    OpKind("enas_conv", "enas_conv_{k}x{k}", _conv, order=0),
    OpKind("enas_sep_conv", "enas_sep_conv_{k}x{k}", _sep_conv, order=1),
    OpKind("enas_avg_pool", "enas_avg_pool_{k}x{k}", _avg_pool, order=3),
    OpKind("enas_max_pool", "enas_max_pool_{k}x{k}", _max_pool, order=3),
    OpKind("enas_merge", "enas_merge", _merge, role=Role.SKIP, legal=_unstrided),
    OpKind("enas_reduce", "enas_reduce", _reduce, legal=_halving),
)

_K3, _K5 = (("k", 3),), (("k", 5),)
MERGE, REDUCE = Op("enas_merge"), Op("enas_reduce")
MACRO = (
    Op("enas_conv", _K3),
    Op("enas_sep_conv", _K3),
    Op("enas_conv", _K5),
    Op("enas_sep_conv", _K5),
    Op("enas_avg_pool", _K3),
    Op("enas_max_pool", _K3),
)
MICRO = (Op("sep_conv", _K3), Op("sep_conv", _K5), Op("avg_pool", _K3), Op("max_pool", _K3), SKIP)
