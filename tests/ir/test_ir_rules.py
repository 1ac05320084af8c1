"""Exactly which ops every op may become."""

from __future__ import annotations

import pytest

from nat_plugin.errors import NATError
from nat_plugin.ir import SKIP, Edge, Op, Rule, Site, find_rule, register_rule, rules
from nat_plugin.ir.ops import op_cost
from nat_plugin.ir.rules import NAT, NAT_PLUS, kernel
from tests.networks import DARTS_OPS

SITES = (Site(16, 16, 1, 8, 8), Site(32, 32, 2, 8, 8))


def candidates(rule: str, op: str, choices: tuple[Op, ...]) -> set[str]:
    found = find_rule(rule).candidates(Edge(0, 2, Op.parse(op), "", choices), SITES)
    assert str(found[0]) == op, "the op that is there comes first"
    assert len(set(found)) == len(found)
    return {str(each) for each in found[1:]}


POOLS = {"max_pool_3x3", "avg_pool_3x3"}


@pytest.mark.parametrize(
    ("op", "plain", "more"),
    [
        ("null", {"skip"}, set()),
        ("skip", {"null"}, set()),
        ("max_pool_3x3", {"skip", "null"}, {"avg_pool_3x3"}),
        ("avg_pool_3x3", {"skip", "null"}, {"max_pool_3x3"}),
        ("sep_conv_3x3", {"skip", "null"}, {"dil_conv_3x3", *POOLS}),
        ("sep_conv_5x5", {"skip", "null"}, {"sep_conv_3x3", "dil_conv_3x3", "dil_conv_5x5", *POOLS}),
        ("dil_conv_3x3", {"skip", "null"}, POOLS),
        ("dil_conv_5x5", {"skip", "null"}, {"dil_conv_3x3", *POOLS}),
    ],
)
def test_the_vocabulary_of_darts(op: str, plain: set[str], more: set[str]) -> None:
    assert candidates("nat", op, DARTS_OPS) == plain
    assert candidates("nat++", op, DARTS_OPS) == plain | more


KERNELS = {
    "conv": (1, 3, 5, 7),
    "sep_conv": (1, 3, 5, 7),
    "dil_conv": (3, 5),
    "max_pool": (2, 3, 5),
    "avg_pool": (2, 3, 5),
}
WIDE = (
    *(Op.parse(f"{kind}_{k}x{k}") for kind, kernels in KERNELS.items() for k in kernels),
    *map(Op.parse, ("conv_1x3_3x1", "conv_1x7_7x1", "conv_7x1_1x7", "skip", "null")),
)


@pytest.mark.parametrize(
    ("op", "more"),
    [
        ("conv_1x1", set()),
        (
            "conv_3x3",
            "conv_1x1 conv_1x3_3x1 sep_conv_3x3 dil_conv_3x3 max_pool_2x2 max_pool_3x3 avg_pool_2x2 avg_pool_3x3",
        ),
        (
            "conv_5x5",
            "conv_1x1 conv_3x3 conv_1x3_3x1 sep_conv_3x3 sep_conv_5x5 dil_conv_3x3 dil_conv_5x5 max_pool_2x2 "
            "max_pool_3x3 max_pool_5x5 avg_pool_2x2 avg_pool_3x3 avg_pool_5x5",
        ),
        ("conv_1x3_3x1", "conv_1x1 sep_conv_3x3 dil_conv_3x3 max_pool_2x2 max_pool_3x3 avg_pool_2x2 avg_pool_3x3"),
        ("sep_conv_1x1", set()),
        ("sep_conv_3x3", "dil_conv_3x3 max_pool_2x2 max_pool_3x3 avg_pool_2x2 avg_pool_3x3"),
        ("max_pool_5x5", "max_pool_2x2 max_pool_3x3 avg_pool_5x5"),
        ("avg_pool_2x2", "max_pool_2x2"),
    ],
)
def test_the_wider_vocabulary_of_nat(op: str, more: str | set[str]) -> None:
    assert candidates("nat++", op, WIDE) == {"skip", "null"} | set(more.split() if isinstance(more, str) else more)


def test_no_kernel_grows_and_no_cost_either() -> None:
    for before in WIDE:
        for after in WIDE:
            if before != after and NAT_PLUS.allows(before, after) and not NAT.allows(before, after):
                assert kernel(after) <= kernel(before)
                assert op_cost(after, SITES[0]) <= op_cost(before, SITES[0])
                assert not (kernel(after) == 1 and after.kind != "conv")


@pytest.mark.parametrize(
    ("after", "allowed"),
    [
        ("mbconv_k5_e6_se0", True),
        ("mbconv_k3_e6_se0.25", True),
        ("mbconv_k3_e4_se0", True),
        ("mbconv_k0_e6_se0.25", True),
        ("mbconv_k3_e8_se0", False),
        ("mbconv_k7_e3_se0", False),
        ("mbconv_k5_e6_se0.5", False),
        ("skip", True),
    ],
)
def test_attributes_of_an_inverted_residual_only_shrink(after: str, allowed: bool) -> None:
    before = Op.parse("mbconv_k5_e6_se0.25")
    assert NAT_PLUS.allows(before, Op.parse(after)) is allowed
    assert NAT.allows(before, Op.parse(after)) is (after == "skip")


@pytest.mark.parametrize(
    ("after", "allowed"),
    [
        ("opaque:other:90:4000", True),
        ("opaque:other:100:4000", True),
        ("opaque:other:100:5000", False),
        ("opaque:other:90:5001", False),
        ("opaque:other:90,100:5000", True),
        ("opaque:other:90,101:1", False),
        ("sep_conv_3x3", False),
    ],
)
def test_somebodys_own_modules_are_ordered_by_what_was_measured(after: str, allowed: bool) -> None:
    assert NAT_PLUS.allows(Op.parse("opaque:mine:100:5000"), Op.parse(after)) is allowed


@pytest.mark.parametrize(
    ("op", "equal"),
    [
        ("max_pool_3x3", "max_pool_2x2 max_pool_5x5 avg_pool_2x2 avg_pool_3x3 avg_pool_5x5"),
        ("conv_7x1_1x7", "conv_1x7_7x1"),
        ("conv_3x3", ""),
        ("sep_conv_3x3", ""),
        ("skip", ""),
        ("null", ""),
    ],
)
def test_operations_of_the_same_cost_take_each_others_place_under_a_rule_of_their_own(op: str, equal: str) -> None:
    assert candidates("nat++equal", op, WIDE) == candidates("nat++", op, WIDE) | set(equal.split())


def test_what_costs_the_same_does_so_at_every_site_of_every_cell() -> None:
    """The rule knows no sites, and must not take for equal what is so at one width by chance."""
    rule = find_rule("nat++equal")
    for before in WIDE:
        for after in WIDE:
            if rule.allows(before, after) and not NAT_PLUS.allows(before, after):
                assert op_cost(before, Site(48, 48, 1, 14, 14)) == op_cost(after, Site(48, 48, 1, 14, 14))
    params, macs = op_cost(Op.parse("conv_1x1"), SITES[0])
    assert not rule.allows(Op.parse("conv_1x1"), Op.parse(f"opaque:own:{params}:{macs}"))


@pytest.mark.parametrize(
    ("before", "after", "allowed"),
    [
        ("opaque:relu:0:0", "opaque:gelu:0:0", True),
        ("opaque:mine:100:5000", "opaque:other:100:5000", True),
        ("opaque:mine:100:5000", "opaque:other:100,100:5000", True),
        ("opaque:mine:100:5000", "opaque:other:100,101:5000", False),
        ("opaque:mine:100,90:5000", "opaque:other:100,90:5000,5000", True),
        ("opaque:mine:100,90:5000", "opaque:other:90,100:5000", False),
        ("opaque:mine:1,2:3", "opaque:other:1,2,3:3", False),
        ("mbconv_k5_e6_se0", "mbconv_k5_e6_se0", True),
        ("mbconv_k0_e6_se0", "mbconv_k1_e6_se0", False),
        ("max_pool_3x3", "opaque:act:0:0", True),
        ("skip", "max_pool_3x3", False),
        ("null", "skip", True),
    ],
)
def test_modules_of_the_same_cost_in_every_placement(before: str, after: str, allowed: bool) -> None:
    assert find_rule("nat++equal").allows(Op.parse(before), Op.parse(after)) is allowed


def test_only_what_the_format_can_say_and_every_site_can_hold() -> None:
    assert candidates("nat", "sep_conv_3x3", (Op.parse("sep_conv_3x3"), SKIP)) == {"skip"}
    narrow = (Site(16, 16, 1, 8, 8), Site(16, 32, 1, 8, 8))
    found = find_rule("nat++").candidates(Edge(0, 2, Op.parse("conv_5x5"), "", WIDE), narrow)
    assert {op.kind for op in found} == {"conv", "conv_1x3_3x1", "sep_conv", "dil_conv", "null"}


def test_rules_are_found_by_name_and_added_once() -> None:
    assert [rule.name for rule in rules()][:3] == ["nat", "nat++", "nat++equal"]
    with pytest.raises(NATError, match=r"^unknown rules 'nat3'; allowed: nat, nat\+\+"):
        find_rule("nat3")
    with pytest.raises(NATError, match="registered twice"):
        register_rule(Rule("nat", "another", lambda before, after: True))
    register_rule(find_rule("nat"))
