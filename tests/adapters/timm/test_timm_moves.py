"""Which moves the known blocks have, and under which rules."""

from __future__ import annotations

import pytest
import timm
from nat_timm.adapter import TimmAdapter
from nat_timm.moves.naming import is_dropped, is_grown
from nat_timm.moves.ops import timm_op

from nat_plugin.ir import NULL, SKIP, Moves, Network, NetworkSize, find_rule
from tests.adapters.timm.samples import SPAN

STRIDE_1 = '{"architecture": "mobilenetv2_050", "edits": [{"op": "stride", "at": "conv_stem", "value": 1}]}'


def network(name: str, size: int = 64) -> Network:
    return TimmAdapter().read(name, NetworkSize(input=(3, size, size), classes=10))


def reachable(found: Network, rule: str, key: str) -> list[str]:
    """Names of what the edge at a module path may become."""
    moves = Moves(found, find_rule(rule))
    index = next((number for number, slot in enumerate(moves.slots) if found.edge(slot).key == key), None)
    if index is None:
        return []
    return [str(op.values.get("name", op)) if op not in (SKIP, NULL) else str(op) for op in moves.candidates[index][1:]]


def test_an_inverted_residual_loses_kernel_expansion_depthwise_or_itself() -> None:
    found = network("efficientnet_b0")
    assert reachable(found, "nat", "blocks.2.1") == ["mbconv_k5_e6_se0", "mbconv_k0_e6_se", "mbconv_k0_e6_se0", "null"]
    wider = reachable(found, "nat++", "blocks.2.1")
    assert {"mbconv_k3_e6_se", "mbconv_k3_e4_se0", "mbconv_k5_e1_se", "null"} <= set(wider)
    assert "null" not in reachable(found, "nat++", "blocks.2.0")  # it has no shortcut


def test_no_kernel_is_smaller_than_its_stride() -> None:
    assert reachable(network("mobilenetv2_050"), "nat++", "conv_stem") == []
    assert reachable(network("resnet18"), "nat++", "conv1") == ["conv_k5", "conv_k3"]
    strided = TimmAdapter().read(STRIDE_1, NetworkSize(input=(3, 64, 64), classes=10))
    assert reachable(strided, "nat++", "conv_stem") == ["conv_k1"]


def test_a_basic_block_loses_a_convolution_or_itself() -> None:
    found = network("resnet18")
    assert reachable(found, "nat", "layer1.0") == ["basic_k3.0_e1", "basic_k0.3_e1", "null"]
    assert "basic_k1.3_e1" in reachable(found, "nat++", "layer1.0")
    assert "null" not in reachable(found, "nat++", "layer2.0")
    assert reachable(found, "nat++", "maxpool") == ["avg_pool_3x3"]


def test_a_convolution_of_equal_shapes_may_be_skipped_and_no_other() -> None:
    found = network("vgg11_bn")
    assert reachable(found, "nat", "features.11") == ["skip"]
    assert reachable(found, "nat++", "features.4") == ["conv_k1"]


def test_a_depthwise_convolution_never_becomes_pointwise() -> None:
    found = network("convnext_atto")
    assert reachable(found, "nat++", "stages.0.blocks.0.conv_dw") == ["conv_dw_k5", "conv_dw_k3", "skip"]


def test_a_block_without_a_shortcut_may_get_one_where_shapes_allow() -> None:
    found = network("mobilenetv4_conv_small_050")
    keys = [found.edge(slot).key for slot in found.slots if found.edge(slot).op is NULL or found.edge(slot).op == NULL]
    assert keys
    assert all(reachable(found, "nat", key) == ["skip"] for key in keys)


def test_under_no_rule_does_anything_grow() -> None:
    for name, size in SPAN[:6]:
        found = network(name, size)
        moves = Moves(found, find_rule("nat++"))
        assert (moves.costs <= moves.costs[:, :1]).all(), name


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv2_050"])
def test_every_key_is_a_path_in_the_model(name: str) -> None:
    paths = dict(timm.create_model(name, device="meta").named_modules())
    for _, cell in network(name).cells:
        for edge in cell.edges:
            assert edge.key.partition("/")[0] in paths


def test_a_part_that_is_dropped_is_a_move_of_nat_a_smaller_one_is_not() -> None:
    assert is_dropped("mbconv_k5_e6_se", "mbconv_k0_e6_se")
    assert is_dropped("basic_k3.3_e1", "basic_k3.0_e1")
    for other in ("mbconv_k3_e6_se", "mbconv_k5_e4_se", "mbconv_k5_e6_se", "uib_k0_e6_se"):
        assert not is_dropped("mbconv_k5_e6_se", other)


@pytest.mark.parametrize(
    ("before", "after", "grown"),
    [
        ("ir_k0_e6", "ir_k3_e3", True),
        ("ir_k3_e3_se0", "ir_k3_e2_se", True),
        ("ir_k5_e1.5", "ir_k3_e2", True),
        ("ir_k5.3_e6_se", "ir_k3.0_e4.5_se0", False),
        ("conv2_k3_w48", "conv2_k3_w40", False),
        ("conv2_k3", "conv2_k3", False),
    ],
)
def test_no_part_of_a_block_grows_or_comes_back(before: str, after: str, grown: bool) -> None:
    assert is_grown(before, after) == grown
    dear, cheap = timm_op(before, 100, 1000), timm_op(after, 50, 500)
    assert find_rule("nat++").allows(dear, cheap) != grown
