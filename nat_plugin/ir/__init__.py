"""The cell IR: immutable networks of cells, what they cost, what may become of them. No torch in it."""

from typing import TYPE_CHECKING

from nat_plugin.ir.budget import METRICS, Budget, Limit, Limits, plain_amount
from nat_plugin.ir.canonical import canonical, canonical_cell, is_connected, key, live, same
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
from nat_plugin.ir.network import MAX_LEVEL, Cell, Edge, Head, Network, Node, Origin, Placement, Slot
from nat_plugin.ir.ops import (
    MAX_OP_TEXT,
    NULL,
    SKIP,
    Attributes,
    Op,
    OpKind,
    Role,
    Site,
    each_placement,
    op_kind,
    register_op,
    relu_conv_norm,
)  # fmt: skip
from nat_plugin.ir.rules import Rule, find_rule, register_rule, rules
from nat_plugin.ir.serial import from_json, to_json
from nat_plugin.ir.shapes import Layout, Placed, layout
from nat_plugin.ir.skeletons import (
    LARGE_INPUT,
    RESIDUAL_STAGES,
    NetworkSize,
    at_level,
    cell_stack,
    cifar_stem,
    imagenet_stem,
    residual_stages,
)
from nat_plugin.ir.walk import Choice, Walk
from nat_plugin.lazy import lazy_names

__all__ = [
    "LARGE_INPUT",
    "MAX_LEVEL",
    "MAX_OP_TEXT",
    "METRICS",
    "NULL",
    "RESIDUAL_STAGES",
    "SKIP",
    "Act",
    "Attributes",
    "Budget",
    "Cell",
    "Choice",
    "Conv",
    "Cost",
    "Costs",
    "Edge",
    "FactorizedReduce",
    "Head",
    "Layer",
    "Layout",
    "Limit",
    "Limits",
    "Moves",
    "Network",
    "NetworkSize",
    "Node",
    "Norm",
    "Op",
    "OpKind",
    "Opaque",
    "Origin",
    "Placed",
    "Placement",
    "Pool",
    "Role",
    "Rule",
    "Shape",
    "Site",
    "Slot",
    "SqueezeExcite",
    "Walk",
    "at_level",
    "canonical",
    "canonical_cell",
    "cell_stack",
    "cifar_stem",
    "cost",
    "costs",
    "each_placement",
    "find_rule",
    "from_json",
    "imagenet_stem",
    "is_connected",
    "key",
    "layout",
    "live",
    "op_kind",
    "plain_amount",
    "register_op",
    "register_rule",
    "relu_conv_norm",
    "residual_stages",
    "rules",
    "same",
    "strided",
    "to_json",
]  # fmt: skip

if not TYPE_CHECKING:
    __getattr__, _ = lazy_names(__name__, {}, {"Frame": f"{__name__}:NetworkSize"})
