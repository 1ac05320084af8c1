"""An op of the IR as a torch module."""

from __future__ import annotations

from torch import nn

from nat_plugin.errors import NATError
from nat_plugin.ir.ops import Op, Site, op_kind
from nat_plugin.nets.blocks import Residual
from nat_plugin.nets.layers import NormFactory, build_layers


def build_op(op: Op, site: Site, norm: NormFactory = nn.BatchNorm2d) -> nn.Module:
    """The op at a site; an ``nn.Identity`` for a plain skip. NATError for null, which is no module, and for an op that
    is not legal there."""
    if op.is_null:
        raise NATError(f"'{op}' passes nothing on and has no module")
    module = build_layers(op.layers(site), norm)
    return Residual(module) if op_kind(op.kind).residual and site.keeps_shape else module
