"""What the op names of NNI's hub mean, and the kinds of op that only it has.

Sources: ``nni/nas/hub/pytorch/nasnet.py`` and ``nasbench201.py`` of microsoft/nni v3.0.
"""

from __future__ import annotations

from collections.abc import Mapping

from nat_plugin.ir import NULL, SKIP, Act, Attributes, Conv, Layer, Norm, Op, OpKind, Site, op_kind, register_op


def _dil_sep_conv(attributes: Attributes, site: Site) -> tuple[Layer, ...]:
    """``DilSepConv``: two separable convolutions in a row, both dilated."""
    k = int(attributes["k"])

    def half(c_out: int, stride: int) -> tuple[Layer, ...]:
        depthwise = Conv(site.c_in, site.c_in, (k, k), (stride, stride), groups=site.c_in, dilation=2)
        return (Act(), depthwise, Conv(site.c_in, c_out), Norm(c_out))

    return half(site.c_in, site.stride) + half(site.c_out, 1)


NO_INPUTS = "none"
"""Of an op that chooses none."""


def _measured(attributes: Attributes, site: Site) -> tuple[Layer, ...]:
    return op_kind("opaque").layers(attributes, site)


def _other_inputs(before: Attributes, after: Attributes) -> bool:
    return after["inputs"] not in (before["inputs"], NO_INPUTS)


INPUTS = OpKind(
    "nni_inputs",
    "nni_inputs:{name:word}:{inputs:word}:{params:each}:{macs:each}",
    _measured,
    order=0,
    grows=_other_inputs,
)
"""An opaque op that says which inputs it takes (``x0-2``: the first and the third): others are no move of NAT or
NAT++, at whatever cost."""

KINDS = (OpKind("nni_dil_sep_conv", "nni_dil_sep_conv_{k}x{k}", _dil_sep_conv, order=1), INPUTS)
for _kind in KINDS:  # a strategy may run in NNI without the plugin manager
    register_op(_kind)

_RENAMED = {
    "none": NULL,
    "skip_connect": SKIP,
    "conv_3x1_1x3": Op("conv_1x3_3x1"),
    "dil_sep_conv_3x3": Op("nni_dil_sep_conv", (("k", 3),)),
}
"""``conv_3x1_1x3`` is a 1x3 convolution first; ``conv_7x1_1x7`` is a 1x7 first, under the name of DARTS."""
_SAME = (
    *("avg_pool_3x3", "avg_pool_5x5", "max_pool_3x3", "max_pool_5x5", "max_pool_7x7", "conv_1x1", "conv_3x3"),
    *("sep_conv_3x3", "sep_conv_5x5", "sep_conv_7x7", "dil_conv_3x3", "dil_conv_5x5", "conv_7x1_1x7"),
)
NDS_OPS: Mapping[str, Op] = {**_RENAMED, **{name: Op.parse(name) for name in _SAME}}
"""The ops of ``nasnet.OPS`` that keep the size of an image at stride 1; pools of 2x2 do not."""

NB201_OPS: Mapping[str, Op] = {
    "none": NULL,
    "skip_connect": SKIP,
    "conv_1x1": Op.parse("conv_1x1"),
    "conv_3x3": Op.parse("conv_3x3"),
    "avg_pool_3x3": Op.parse("avg_pool_3x3"),
}
"""``PRIMITIVES`` of ``nasbench201.py``, in their order."""
