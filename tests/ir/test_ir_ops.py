"""The text form of ops, and kinds from plugins."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nat_plugin.errors import NATError
from nat_plugin.ir import (
    NULL,
    SKIP,
    Budget,
    Cell,
    Edge,
    Head,
    Moves,
    Network,
    Node,
    Op,
    OpKind,
    Placement,
    Role,
    Site,
    canonical,
    cost,
    find_rule,
    from_json,
    key,
    register_op,
    to_json,
)
from nat_plugin.ir import ops as registry
from nat_plugin.ir.layers import Conv, Norm
from nat_plugin.ir.ops import op_cost, op_kind

ODD, ANY = st.integers(0, 31).map(lambda n: 2 * n + 1), st.integers(1, 63)
NUMBER = st.integers(0, 999_999_999_999_999)
DECIMAL = st.decimals("0.01", "63.99", places=4).map(lambda d: int(d) if d == int(d) else float(d))
WORD = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.\-/]{0,20}", fullmatch=True)
EACH = NUMBER | st.lists(NUMBER, min_size=2, max_size=5).map(lambda found: ",".join(map(str, found)))


def build(kind: str, **attributes: st.SearchStrategy[object]) -> st.SearchStrategy[Op]:
    return st.fixed_dictionaries(attributes).map(lambda found: Op(kind, tuple((n, found[n]) for n in attributes)))  # type: ignore[misc]


ALL = {
    **{kind: build(kind, k=ODD) for kind in ("conv", "sep_conv", "dil_conv")},
    **{kind: build(kind, k=ANY) for kind in ("max_pool", "avg_pool")},
    **{kind: st.just(Op(kind)) for kind in ("conv_7x1_1x7", "conv_1x7_7x1", "conv_1x3_3x1")},
    **{kind: st.just(Op(kind)) for kind in ("nb201_shortcut", "skip", "null")},
    "mbconv": build("mbconv", k=ODD | st.just(0), e=DECIMAL, se=DECIMAL | st.just(0)),
    "opaque": build("opaque", name=WORD, params=EACH, macs=EACH),
}


@given(st.sampled_from(sorted(ALL)).flatmap(ALL.__getitem__))
def test_every_kind_goes_to_text_and_back(op: Op) -> None:
    assert Op.parse(str(op)) == op
    assert str(Op.parse(str(op))) == str(op)


def test_all_built_in_kinds_are_covered() -> None:
    assert {kind.name for kind in registry.BUILT_IN} == set(ALL)


def test_values_have_one_form() -> None:
    assert str(Op.parse("mbconv_k3_e6.0_se0.250")) == "mbconv_k3_e6_se0.25"
    assert Op.parse("opaque:big:900719925474099:1").values["params"] == 900_719_925_474_099


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "conv", "sep_conv_3x5", "sep_conv_03x03", "sep_conv_-3x-3", "SKIP", "skip ", "skip\n", "none", "\n"),
        *("opaque:a", "opaque::1:2", "opaque:a:1:2:3", "opaque:a:1,:2", "opaque:" + "a" * 600 + ":1:1", "conv_{k}x{k}"),
        *("mbconv_k3_e1e3_se0", "sep_conv_٣x٣", "max_pool_9999999999999999x9999999999999999"),
    ],
)
def test_unknown_texts_are_refused(text: str) -> None:
    with pytest.raises(NATError, match=r"^unknown op '") as error:
        Op.parse(text)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 800


@pytest.mark.parametrize(
    "text",
    [
        "conv_0x0",
        "conv_2x2",
        "sep_conv_2.5x2.5",
        "max_pool_0x0",
        "mbconv_k2_e6_se0",
        "mbconv_k3_e0_se0",
        "mbconv_k3_e65_se0",
    ],
)
def test_attributes_that_no_op_can_have_are_refused(text: str) -> None:
    with pytest.raises(NATError, match="has attributes that"):
        Op.parse(text)


def test_an_opaque_op_costs_what_was_measured_at_each_placement() -> None:
    site = Site(8, 8, 1, 4, 4)
    once, each = Op.parse("opaque:mine:120:4000"), Op.parse("opaque:mine:120,480:4000,8000")
    assert op_cost(once, site) == (120, 4000) == op_cost(each, site)
    assert op_cost(each, Site(16, 16, 1, 2, 2, ordinal=1)) == (480, 8000)
    with pytest.raises(NATError, match="states params for 2 placements, its cell has more"):
        op_cost(each, Site(16, 16, 1, 2, 2, ordinal=2))


def test_costs_of_an_inverted_residual() -> None:
    """MobileNetV2 (t=6, 16 to 24 channels, stride 2) by hand; then without expansion, without depthwise."""
    op = Op.parse("mbconv_k3_e6_se0")
    assert op_cost(op, Site(16, 24, 2, 8, 8)) == (
        16 * 96 + 192 + 9 * 96 + 192 + 96 * 24 + 48,
        16 * 96 * 64 + 9 * 96 * 16 + 96 * 24 * 16,
    )
    assert op_cost(Op.parse("mbconv_k3_e1_se0"), Site(16, 24, 2, 8, 8))[0] == 9 * 16 + 32 + 16 * 24 + 48
    assert op_cost(Op.parse("mbconv_k0_e1_se0"), Site(16, 24, 2, 8, 8)) == (16 * 24 + 48, 16 * 24 * 16)
    squeezed = op_cost(Op.parse("mbconv_k3_e6_se0.25"), Site(16, 24, 2, 8, 8))
    assert squeezed[0] - op_cost(op, Site(16, 24, 2, 8, 8))[0] == 2 * 96 * 4 + 96 + 4


def test_roles() -> None:
    assert (SKIP.role, NULL.role, Op.parse("conv_3x3").role) == (Role.SKIP, Role.NULL, Role.OPERATION)
    assert NULL.is_null
    assert not SKIP.is_null
    with pytest.raises(NATError, match="unknown op kind 'nothing'; known: avg_pool"):
        str(Op("nothing"))


@pytest.fixture
def ghost() -> Iterator[OpKind]:
    """A kind of a plugin, with a word and attributes of its own, legal only at stride 1."""
    kind = OpKind(
        "ghost",
        "ghost_{style:word}_r{ratio}",
        lambda values, site: (Conv(site.c_in, site.c_out, groups=int(values["ratio"])), Norm(site.c_out)),
        order=1,
        legal=lambda values, site: site.stride == 1 and site.c_in % int(values["ratio"]) == 0,
    )
    register_op(kind)
    register_op(kind)
    yield kind
    del registry._KINDS["ghost"]
    registry._parse.cache_clear()


def test_a_kind_from_a_plugin_works_everywhere(ghost: OpKind) -> None:
    op, less = Op.parse("ghost_soft_r2"), Op.parse("ghost_soft_r1")
    assert op.values == {"style": "soft", "ratio": 2}
    assert op_kind("ghost") is ghost
    choices = (op, less, Op.parse("avg_pool_3x3"), SKIP, NULL)
    edges = (Edge(0, 1, op, "", choices), Edge(0, 2, op, "", choices), Edge(1, 2, Op.parse("conv_3x3"), "", choices))
    cell = Cell(1, (Node(), Node()), edges, (2,))
    network = Network((("c", cell),), (Placement("c", 4, (0,)),), ((Conv(3, 4),),), Head(2), (3, 5, 5))
    assert cost(network).params == 12 + 2 * (8 + 8) + 144 + 8 + 10
    moves = Moves(network, find_rule("nat++"), Budget.parse({"macs": "0.7x"}).resolve(network))
    assert less in moves.candidates[0]
    built = moves.apply(moves.sample(np.random.default_rng(0)))
    moves.verify(built)
    assert from_json(to_json(network)) == network
    assert canonical(network) == network
    assert key(network) != key(network.with_ops([less, op, SKIP]))


def test_a_kind_that_cannot_stand_at_ordinary_sites_harms_nobody() -> None:
    kind = OpKind(
        "odd", "odd_op", lambda _values, site: (Conv(site.c_in, site.c_out),), order=0, legal=lambda _v, s: s.c_in == 3
    )
    register_op(kind)
    try:
        assert not find_rule("nat++").allows(Op.parse("odd_op"), Op.parse("conv_1x1"))
        cell = Cell(1, (Node(),), (Edge(0, 1, Op.parse("odd_op")), Edge(0, 1, Op.parse("odd_op"))), (1,))
        network = Network((("c", cell),), (Placement("c", 4, (0,)),), ((),), Head(2), (3, 5, 5))
        assert cost(network).params == 24 + 10
        assert key(network)
    finally:
        del registry._KINDS["odd"]
        registry._parse.cache_clear()


@pytest.mark.parametrize(
    ("name", "template", "message"),
    [
        ("conv", "convolution_{k}", "'conv' is registered twice"),
        ("mine", "conv_{a}x{b}", "its text 'conv_{a}x{b}' could also be a 'conv_{k}x{k}'"),
        ("mine", "skip", "could also be a 'skip'"),
        ("mine", "{name:word}", "could also be a '"),
    ],
)
def test_a_text_has_one_meaning(name: str, template: str, message: str) -> None:
    with pytest.raises(NATError, match="op kind") as error:
        register_op(OpKind(name, template, lambda _values, _site: ()))
    assert message in str(error.value)
    assert "mine" not in registry._KINDS
