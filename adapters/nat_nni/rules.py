"""A rule set for input choices, which neither ``nat`` nor ``nat++`` changes: an edge of theirs keeps its source."""

from __future__ import annotations

from nat_nni.ops import INPUTS
from nat_plugin.ir import Op, Rule, each_placement, find_rule


def _allows(before: Op, after: Op) -> bool:
    return find_rule("nat++").allows(before, after) or _takes_other_inputs(before, after)


def _takes_other_inputs(before: Op, after: Op) -> bool:
    return before.kind == after.kind == INPUTS.name and all(
        sum(each_placement(after.values[name])) <= sum(each_placement(before.values[name]))
        for name in ("params", "macs")
    )


WIRING = Rule("nat++inputs", "nat++, and an input choice of NNI takes other inputs, at no more cost", _allows)
