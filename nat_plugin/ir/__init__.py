"""The cell IR: immutable networks of cells, what they cost, what may become of them. No torch in it."""

from nat_plugin.ir.budget import Budget, Limit, Limits
from nat_plugin.ir.canonical import canonical, is_connected, key, live, same
from nat_plugin.ir.costs import Cost, Costs, cost, costs
from nat_plugin.ir.layers import (
    Act,
    Conv,
    FactorizedReduce,
    Layer,
    Norm,
    Opaque,
    Pool,
    Shape,
    SqueezeExcite,
    strided,
)  # fmt: skip
from nat_plugin.ir.moves import Moves
from nat_plugin.ir.network import Cell, Edge, Head, Network, Node, Origin, Placement, Slot
from nat_plugin.ir.ops import NULL, SKIP, Attributes, Op, OpKind, Role, Site, register_op, relu_conv_norm
from nat_plugin.ir.rules import Rule, find_rule, register_rule, rules
from nat_plugin.ir.serial import from_json, to_json
from nat_plugin.ir.shapes import Layout, Placed, layout
from nat_plugin.ir.skeletons import LARGE_INPUT, Frame, at_level, cell_stack, cifar_stem, imagenet_stem, residual_stages
from nat_plugin.ir.walk import Choice, Walk

__all__ = [
    "LARGE_INPUT", "NULL", "SKIP", "Act", "Attributes", "Budget", "Cell", "Choice", "Conv", "Cost", "Costs", "Edge",
    "FactorizedReduce", "Frame", "Head", "Layer", "Layout", "Limit", "Limits", "Moves", "Network", "Node", "Norm",
    "Op", "OpKind", "Opaque", "Origin", "Placed", "Placement", "Pool", "Role", "Rule", "Shape", "Site", "Slot",
    "SqueezeExcite", "Walk", "at_level", "canonical", "cell_stack", "cifar_stem", "cost", "costs", "find_rule",
    "from_json", "imagenet_stem", "is_connected", "key", "layout", "live", "register_op", "register_rule",
    "relu_conv_norm", "residual_stages", "rules", "same", "strided", "to_json",
]  # fmt: skip
