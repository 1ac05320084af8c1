"""Rules of transition: which ops an op may become. A rule set is data, and plugins can add one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

from nat_plugin.errors import NATError
from nat_plugin.ir.layers import Conv, Pool
from nat_plugin.ir.network import Edge
from nat_plugin.ir.ops import Op, Role, Site, Value, each_placement, op_cost, op_kind

_REFERENCE = Site(16, 16, 1, 8, 8)
_REFERENCES = (_REFERENCE, Site(24, 24, 1, 6, 6), Site(20, 40, 2, 8, 8))
"""Costs that are equal at all of these are equal by their formulas, not by chance."""


@dataclass(frozen=True)
class Rule:
    """``allows(before, after)`` says whether one op may become another; staying the same is always allowed.
    ``by_measure``: whether an op that does the work of another (``OpKind.stands_in``) may also take its place where it
    costs less by any measure that is limited, whatever it costs by others."""

    name: str
    summary: str
    allows: Callable[[Op, Op], bool]
    by_measure: bool = False

    def candidates(self, edge: Edge, sites: tuple[Site, ...]) -> tuple[Op, ...]:
        """The op of the edge first, then what its format can say, the rule allows and every site can hold."""
        others = (
            op
            for op in edge.choices
            if op != edge.op and self.allows(edge.op, op) and all(op.legal(site) for site in sites)
        )
        return (edge.op, *others)

    def stand_ins(self, edge: Edge, sites: tuple[Site, ...]) -> tuple[Op, ...]:
        """Those beyond ``candidates`` that are legal where they cost less by a measure."""
        if not self.by_measure or edge.op.role is not Role.OPERATION:
            return ()
        others = (op for op in edge.choices if op != edge.op and op_kind(op.kind).stands_in(op.values))
        return tuple(op for op in others if not self.allows(edge.op, op) and all(op.legal(site) for site in sites))


def _nat(before: Op, after: Op) -> bool:
    """Operation to {itself, skip, null}, skip to {skip, null}, null to {null, skip} (NAT, section 4.1); so too for the
    parts of a composite op."""
    if after.role is not Role.OPERATION:
        return True
    return before.kind == after.kind and op_kind(before.kind).drops(before.values, after.values)


def _nat_plus(before: Op, after: Op) -> bool:
    return _nat(before, after) or _cheaper(before, after)


@lru_cache(maxsize=65536)
def _cheaper(before: Op, after: Op) -> bool:
    """Whether an operation comes later in the order of NAT++ from expensive to cheap (NAT++, section 4)."""
    order = op_kind(before.kind).order, op_kind(after.kind).order
    if before.role is not Role.OPERATION or after.role is not Role.OPERATION or order[0] is None or order[1] is None:
        return False
    if order[1] < order[0] or not (before.legal(_REFERENCE) and after.legal(_REFERENCE)):
        return False
    kernels = kernel(before), kernel(after)
    if before.kind != after.kind and kernels[0] == kernels[1] and _is_pool(before) and _is_pool(after):
        return True
    if before.kind == after.kind and len(before.attributes) > 1:
        return _shrinks(before, after) and not op_kind(before.kind).grows(before.values, after.values)
    if kernels[1] > kernels[0] or (kernels[1] == 1 and after.kind != "conv"):
        return False
    old, new = op_cost(before, _REFERENCE), op_cost(after, _REFERENCE)
    lighter = new[0] <= old[0] and new[1] <= old[1]
    return lighter and (new != old or (before.kind == after.kind and kernels[1] < kernels[0]))


def _shrinks(before: Op, after: Op) -> bool:
    """Whether no number among the attributes grows and one gets smaller; words (names) may change."""
    numbers: list[tuple[float, float]] = []
    for (_, old), (_, new) in zip(before.attributes, after.attributes, strict=True):
        if isinstance(old, str) or isinstance(new, str):
            if not (_is_numeric(old) and _is_numeric(new)):
                continue
            olds, news = each_placement(old), each_placement(new)
            length = max(len(olds), len(news))
            if len(olds) not in (1, length) or len(news) not in (1, length):
                return False
            numbers += zip(olds * (length // len(olds)), news * (length // len(news)), strict=True)
        else:
            numbers.append((old, new))
    return all(new <= old for old, new in numbers) and any(new < old for old, new in numbers)


def _is_numeric(value: Value) -> bool:
    return not isinstance(value, str) or value.replace(",", "").isdigit()


def _nat_plus_equal(before: Op, after: Op) -> bool:
    return _nat_plus(before, after) or _costs_the_same(before, after)


@lru_cache(maxsize=65536)
def _costs_the_same(before: Op, after: Op) -> bool:
    """Whether two operations have the same parameters and MACs wherever both can stand, in every placement."""
    if before.role is not Role.OPERATION or after.role is not Role.OPERATION:
        return False
    if before.kind == after.kind and op_kind(before.kind).grows(before.values, after.values):
        return False
    sites = [site for site in _REFERENCES if before.legal(site) and after.legal(site)]
    placements = {_placements(before), _placements(after)} - {1}
    return (
        bool(sites)
        and len(placements) <= 1
        and all(
            op_cost(before, here) == op_cost(after, here)
            for site in sites
            for here in (replace(site, ordinal=number) for number in range(max(placements, default=1)))
        )
    )


def _placements(op: Op) -> int:
    """For how many placements an op states its costs; 1 where they are the same at all."""
    return max((len(each_placement(value)) for value in op.values.values() if _is_numeric(value)), default=1)


@lru_cache(maxsize=65536)
def kernel(op: Op) -> int:
    """The largest kernel among the layers of an op; 1 without any."""
    sizes = [1]
    for layer in op.layers(_REFERENCE):
        if isinstance(layer, Conv):
            sizes.append(max(layer.kernel))
        elif isinstance(layer, Pool):
            sizes.append(layer.kernel)
    return max(sizes)


def _is_pool(op: Op) -> bool:
    return any(isinstance(layer, Pool) for layer in op.layers(_REFERENCE))


NAT = Rule("nat", "operation -> {itself, skip, null}; skip -> {skip, null}; null -> {null, skip}", _nat)
NAT_PLUS = Rule(
    "nat++", "nat, and any cheaper operation: conv, sep_conv, dil_conv, pool; smaller kernels", _nat_plus, True
)
NAT_PLUS_EQUAL = Rule(
    "nat++equal", "nat++, and any operation of the same parameters and MACs in place of another", _nat_plus_equal, True
)

_RULES: dict[str, Rule] = {}


def register_rule(rule: Rule) -> None:
    """Add a rule set under its name; a name can be taken once."""
    if _RULES.setdefault(rule.name, rule) is not rule:
        raise NATError(f"rules '{rule.name}' are registered twice, by different plugins")


def find_rule(name: str) -> Rule:
    try:
        return _RULES[name]
    except KeyError:
        raise NATError(f"unknown rules '{name}'; allowed: {', '.join(_RULES)}") from None


def rules() -> tuple[Rule, ...]:
    return tuple(_RULES.values())


register_rule(NAT)
register_rule(NAT_PLUS)
register_rule(NAT_PLUS_EQUAL)
