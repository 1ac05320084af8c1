"""Modules of single layers and ops, against values worked out by hand or by plain torch."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nat_plugin.errors import NATError
from nat_plugin.ir import Op, Site
from nat_plugin.ir.layers import Act, Conv, FactorizedReduce, Layer, Norm, Opaque, Pool, SqueezeExcite
from nat_plugin.nets import build_layer, build_op

LAYERS: list[Layer] = [
    Norm(6), Act("relu"), Act("relu6"), Act("hardswish"), Act("silu"), SqueezeExcite(6, 2), FactorizedReduce(6, 5),
    FactorizedReduce(6, 1),
    *(Conv(6, 4, (k, k), (s, s), dilation=d) for k in (1, 2, 3, 4, 5) for s in (1, 2, 3) for d in (1, 2)),
    *(Conv(6, 6, (1, 7), (1, 2), groups=6, bias=bias) for bias in (False, True)),
    *(Pool(f, k, s) for f in ("max", "avg") for k in (1, 2, 3, 4, 5) for s in (1, 2, 4)),
]  # fmt: skip


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_shape_and_parameters_are_those_of_the_layer(layer: Layer) -> None:
    module = build_layer(layer).eval()
    assert sum(p.numel() for p in module.parameters()) == layer.params
    for size in ((1, 1), (2, 3), (7, 8), (9, 4)):
        out = module(torch.randn(2, 6, *size))
        assert tuple(out.shape[1:]) == layer.run((6, *size))[0]
        assert torch.isfinite(out).all()


@pytest.mark.parametrize("function", ["max", "avg"])
@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_pools_see_no_padding(function: str, kernel: int, stride: int) -> None:
    """Window ``i`` reaches from ``i * stride - (kernel - 1) // 2`` over ``kernel`` pixels, cut off at the borders."""
    x = torch.randn(1, 1, 7, 6, dtype=torch.float64) - 5
    out = build_layer(Pool(function, kernel, stride))(x)[0, 0]

    def window(i: int, size: int) -> slice:
        start = i * stride - (kernel - 1) // 2
        return slice(max(start, 0), min(start + kernel, size))

    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            part = x[0, 0, window(i, 7), window(j, 6)]
            torch.testing.assert_close(out[i, j], part.max() if function == "max" else part.mean())


def test_factorized_reduce_takes_even_and_odd_pixels() -> None:
    module = build_layer(FactorizedReduce(3, 5))
    weights = list(module.parameters())
    assert [tuple(w.shape) for w in weights] == [(2, 3, 1, 1), (3, 3, 1, 1)]
    for size in (6, 7):
        x = torch.randn(2, 3, size, size)
        padded = F.pad(x, (0, size % 2, 0, size % 2))
        parts = [torch.einsum("nchw,oc->nohw", padded[:, :, i::2, i::2], w[:, :, 0, 0]) for i, w in enumerate(weights)]
        torch.testing.assert_close(module(x), torch.cat(parts, 1))


def test_even_convolution_pads_to_the_right() -> None:
    module = build_layer(Conv(1, 1, (2, 2)))
    x = torch.randn(1, 1, 4, 4)
    (weight,) = module.parameters()
    torch.testing.assert_close(module(x), F.conv2d(F.pad(x, (0, 1, 0, 1)), weight))


def test_ops() -> None:
    same, down = Site(4, 4, 1, 5, 5), Site(4, 8, 2, 5, 5)
    x = torch.randn(3, 4, 5, 5)
    assert isinstance(build_op(Op.parse("skip"), same), nn.Identity)
    assert build_op(Op.parse("skip"), down)(x).shape == (3, 8, 3, 3)
    block = build_op(Op.parse("mbconv_k3_e2_se0.25"), same)
    for parameter in list(block.parameters())[-2:]:
        nn.init.zeros_(parameter)  # the last norm gives zero, so the input is left
    torch.testing.assert_close(block(x), x)
    assert build_op(Op.parse("mbconv_k3_e2_se0.25"), down)(x).shape == (3, 8, 3, 3)


def test_first_layers_do_not_write_into_their_input() -> None:
    x = torch.randn(2, 4, 6, 6)
    before = x.clone()
    for text in ("sep_conv_3x3", "conv_3x3", "mbconv_k3_e1_se0", "max_pool_3x3", "skip", "dil_conv_3x3"):
        build_op(Op.parse(text), Site(4, 4, 1, 6, 6))(x)
        assert torch.equal(x, before)


def test_what_cannot_be_built_is_said() -> None:
    site = Site(4, 8, 1, 5, 5)
    with pytest.raises(NATError, match="no module"):
        build_op(Op.parse("null"), site)
    with pytest.raises(NATError, match="cannot stand between"):
        build_op(Op.parse("skip"), site)
    with pytest.raises(NATError, match="opaque:thing"):
        build_layer(Opaque("thing", (1, 1), 4))
    with pytest.raises(NATError, match="unknown activation 'tanh'"):
        build_layer(Act("tanh"))
    with pytest.raises(NATError, match="unknown pooling 'median'"):
        build_layer(Pool("median", 3))


def test_initialisation_is_that_of_torch() -> None:
    torch.manual_seed(0)
    ours = build_layer(Conv(8, 16, (3, 3)))
    torch.manual_seed(0)
    theirs = nn.Conv2d(8, 16, 3, bias=False)
    assert torch.equal(next(ours.parameters()), theirs.weight)
    assert theirs.weight.abs().max() <= 1 / math.sqrt(72)
