"""Once-for-All and ProxylessNAS: exact counts, and JSON that comes back to the letter."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nat_ofa import OFAAdapter, register_ops

from nat_plugin.errors import NATError
from nat_plugin.ir import (
    SKIP,
    Budget,
    Cost,
    Moves,
    Network,
    NetworkSize,
    canonical,
    cost,
    find_rule,
    from_json,
    key,
    same,
    to_json,
)
from nat_plugin.ir.ops import register_op
from nat_plugin.writing import write_back
from tests.adapters.damage import check_any, check_one_line_or_the_same_text, damaged

register_ops(register_op)
ADAPTER = OFAAdapter()
IMAGE = NetworkSize(input=(3, 224, 224), classes=1000)
TINY = NetworkSize(input=(3, 20, 20), classes=4)
IDENTITY = {"name": "IdentityLayer", "in_channels": [16], "out_channels": [16], "use_bn": False, "act_func": None}
LARGE = (  # MobileNetV3-Large: kernel, hidden channels, channels, squeeze-excite, activation, stride
    (3, 16, 16, 0, "relu", 1), (3, 64, 24, 0, "relu", 2), (3, 72, 24, 0, "relu", 1), (5, 72, 40, 1, "relu", 2),
    (5, 120, 40, 1, "relu", 1), (5, 120, 40, 1, "relu", 1), (3, 240, 80, 0, "h_swish", 2),
    (3, 200, 80, 0, "h_swish", 1), (3, 184, 80, 0, "h_swish", 1), (3, 184, 80, 0, "h_swish", 1),
    (3, 480, 112, 1, "h_swish", 1), (3, 672, 112, 1, "h_swish", 1), (5, 672, 160, 1, "h_swish", 2),
    (5, 960, 160, 1, "h_swish", 1), (5, 960, 160, 1, "h_swish", 1),
)  # fmt: skip


def conv(c_in: int, c_out: int, kernel: int = 1, stride: int = 1, act: str | None = "relu6", norm: bool = True) -> Any:
    return {
        "name": "ConvLayer", "kernel_size": kernel, "stride": stride, "dilation": 1, "groups": 1, "bias": False,
        "has_shuffle": False, "in_channels": c_in, "out_channels": c_out, "use_bn": norm, "act_func": act,
        "dropout_rate": 0, "ops_order": "weight_bn_act",
    }  # fmt: skip


def classifier(features: int, classes: int = 1000) -> Any:
    return {"name": "LinearLayer", "in_features": features, "out_features": classes, "bias": True, "use_bn": False}


def mobilenet_v3() -> dict[str, Any]:
    blocks, before = [], 16
    for kernel, hidden, after, squeeze, act, stride in LARGE:
        ratio = 1 if hidden == before else hidden / before
        inside = {
            "name": "MBConvLayer", "in_channels": before, "out_channels": after, "kernel_size": kernel,
            "stride": stride, "expand_ratio": ratio, "mid_channels": hidden, "act_func": act, "use_se": bool(squeeze),
        }  # fmt: skip
        keeps = stride == 1 and before == after
        blocks.append({"name": "ResidualBlock", "conv": inside, "shortcut": IDENTITY if keeps else None})
        before = after
    return {
        "name": "MobileNetV3",
        "bn": {"momentum": 0.1, "eps": 1e-05, "ws_eps": None},
        "first_conv": conv(3, 16, 3, 2, "h_swish"),
        "blocks": blocks,
        "final_expand_layer": conv(160, 960, act="h_swish"),
        "feature_mix_layer": conv(960, 1280, act="h_swish", norm=False),
        "classifier": classifier(1280),
    }


def proxyless(blocks: list[tuple[int, int, int, int]], first: int = 32) -> dict[str, Any]:
    """Blocks as kernel, expansion, channels and stride; kernel 0: a ``ZeroLayer``."""
    found, before = [], first
    for kernel, ratio, after, stride in blocks:
        inside = {
            "name": "MBInvertedConvLayer", "in_channels": before, "out_channels": after, "kernel_size": kernel,
            "stride": stride, "expand_ratio": ratio,
        }  # fmt: skip
        after = after if kernel else before
        shortcut = IDENTITY if not kernel or (stride == 1 and before == after) else None
        zero = {"name": "ZeroLayer", "stride": 1}
        inner = inside if kernel else zero
        found.append({"name": "MobileInvertedResidualBlock", "mobile_inverted_conv": inner, "shortcut": shortcut})
        before = after
    return {
        "name": "ProxylessNASNets",
        "bn": {"momentum": 0.1, "eps": 0.001},
        "first_conv": conv(3, first, 3, 2),
        "blocks": found,
        "feature_mix_layer": conv(before, 4 * before),
        "classifier": classifier(4 * before, 4),
    }


SMALL = proxyless(
    [(3, 1, 16, 1), (5, 3, 24, 2), (7, 6, 24, 1), (0, 0, 0, 1), (3, 3, 24, 1), (5, 6, 32, 2), (3, 3, 32, 1)]
)
SUBNET = {"wid": None, "ks": [7, 5, 3, 3] * 5, "e": [6, 4, 3, 6] * 5, "d": [4, 2, 3, 4, 3], "r": [208]}
TEXTS = {
    "net.config": json.dumps(mobilenet_v3()),
    "net.config over lines": json.dumps(SMALL, indent=4) + "\n",
    "net.config as Python prints it": repr(SMALL),
    "subnet": json.dumps(SUBNET),
    "subnet as Python prints it": f" {SUBNET}\n",
}


def read(text: str, size: NetworkSize | None = None) -> Network:
    return ADAPTER.read(text, size or ADAPTER.natural_size(text))


def test_mobilenet_v3_counts_as_in_timm() -> None:
    """timm's has a bias in the layer after the pooling, 1,280 parameters."""
    timm = pytest.importorskip("timm")
    import torch

    from nat_plugin.nets import build, count

    network = read(TEXTS["net.config"])
    assert cost(network) == Cost(5_481_752, 216_589_760)
    with torch.device("meta"):
        theirs = count(timm.create_model("mobilenetv3_large_100"), network.input)
        assert count(build(network), network.input) == cost(network)
    assert theirs == cost(network) + Cost(1280, 0)


def test_proxyless_counts_by_hand() -> None:
    def block(c_in: int, c_out: int, kernel: int, ratio: int) -> int:
        hidden = c_in * ratio
        wider = c_in * hidden + 2 * hidden if ratio > 1 else 0
        return wider + kernel**2 * hidden + 2 * hidden + hidden * c_out + 2 * c_out

    wanted = 27 * 32 + 64 + block(32, 16, 3, 1) + block(16, 24, 5, 3) + block(24, 24, 7, 6) + block(24, 24, 3, 3)
    wanted += block(24, 32, 5, 6) + block(32, 32, 3, 3) + 32 * 128 + 256 + 128 * 4 + 4
    assert cost(read(json.dumps(SMALL))).params == wanted


def test_the_whole_of_the_largest_subnet() -> None:
    largest = json.dumps({"ks": [7] * 20, "e": [6] * 20, "d": [4] * 5})
    network = read(largest)
    assert network.input == (3, 224, 224)
    assert cost(network).params == 7_664_760
    wide = read(largest, NetworkSize(24, input=(3, 224, 224), classes=1000))
    assert [node.channels for node in wide.by_name["network"].nodes][::4] == [24, 32, 48, 96, 136, 192]
    assert ADAPTER.write(wide) == largest


def test_a_subnet_is_its_own_net_config() -> None:
    """The same network, spelled layer by layer."""
    channels, acts = (16, 24, 40, 80, 112, 160), ("relu", "relu", "h_swish", "h_swish", "h_swish")
    config = mobilenet_v3()
    config["blocks"] = config["blocks"][:1]
    for stage, depth in enumerate(SUBNET["d"]):
        for number in range(depth):
            before, after = channels[stage + (number > 0)], channels[stage + 1]
            ratio = SUBNET["e"][4 * stage + number]
            inside = {
                "name": "MBConvLayer", "in_channels": before, "out_channels": after,
                "kernel_size": SUBNET["ks"][4 * stage + number], "stride": 1 if number or stage == 3 else 2,
                "expand_ratio": ratio, "mid_channels": None, "act_func": acts[stage], "use_se": stage in (1, 3, 4),
            }  # fmt: skip
            config["blocks"].append({"name": "ResidualBlock", "conv": inside, "shortcut": IDENTITY if number else None})
    assert same(read(json.dumps(config), IMAGE), read(TEXTS["subnet"], IMAGE))


@pytest.mark.parametrize("name", TEXTS)
def test_texts_come_back_to_the_letter(name: str) -> None:
    text = TEXTS[name]
    assert ADAPTER.recognises(text)
    network = read(text)
    assert ADAPTER.write(network) == text
    assert from_json(to_json(network)) == network


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("rule", ["nat", "nat++"])
def test_moved_networks_are_written_and_read_back(name: str, rule: str) -> None:
    text = TEXTS[name]
    size = NetworkSize(input=(3, 32, 32), classes=10)
    network = read(text, size)
    moves = Moves(network, find_rule(rule), Budget.parse({"macs": "1.0x"}).resolve(network))
    generator = np.random.default_rng(0)
    for _ in range(15):
        moved = moves.apply(moves.sample(generator))
        written = write_back(ADAPTER, moves, moved, size)
        again = read(written, size)
        assert (key(again), cost(again)) == (key(moved), cost(moved))
        assert written.startswith(text[:9])
        assert written.endswith(text[-9:])


def changed(before: str, after: str) -> list[tuple[str, str]]:
    lines = zip(before.splitlines(), after.splitlines(), strict=True)
    return [(old.strip(), new.strip()) for old, new in lines if old != new]


def test_only_what_moved_is_changed() -> None:
    text = TEXTS["net.config over lines"]
    network = read(text)
    by_key = {network.edge(slot).key: number for number, slot in enumerate(network.slots)}
    edge = network.edge(network.slots[by_key["blocks/2"]])
    smaller = next(op for op in edge.choices if op != SKIP and (op.values["k"], op.values["m"]) == (3, 72))
    ops = list(network.ops)
    ops[by_key["blocks/2"]] = smaller
    assert changed(text, ADAPTER.write(network.with_ops(ops))) == [
        ('"kernel_size": 7,', '"kernel_size": 3,'),
        ('"expand_ratio": 6', '"expand_ratio": 3'),
    ]
    ops[by_key["blocks/2"]] = SKIP
    fewer = json.loads(ADAPTER.write(network.with_ops(ops)))
    assert fewer == {**SMALL, "blocks": SMALL["blocks"][:2] + SMALL["blocks"][3:]}
    assert "blocks/3" not in by_key, "a ZeroLayer stays what it is"


def test_hidden_channels_are_written_where_the_file_has_them() -> None:
    config = mobilenet_v3()
    network = read(json.dumps(config))
    by_key = {network.edge(slot).key: number for number, slot in enumerate(network.slots)}
    edge = network.edge(network.slots[by_key["blocks/14"]])
    ops = list(network.ops)
    ops[by_key["blocks/14"]] = next(op for op in edge.choices if op != SKIP and op.values["m"] == 480)
    inside = json.loads(ADAPTER.write(network.with_ops(ops)))["blocks"][14]["conv"]
    assert (inside["expand_ratio"], inside["mid_channels"], inside["use_se"]) == (3, 480, True)


def test_a_block_that_is_left_out_shortens_the_stage_of_a_subnet() -> None:
    network = read(TEXTS["subnet"])
    by_key = {network.edge(slot).key: number for number, slot in enumerate(network.slots)}
    assert SKIP not in network.edge(network.slots[by_key["0"]]).choices
    assert SKIP not in network.edge(network.slots[by_key["1"]]).choices, "a stage has two blocks or more"
    ops = list(network.ops)
    ops[by_key["2"]] = SKIP
    found = json.loads(ADAPTER.write(network.with_ops(ops)))
    assert found["d"] == [3, 2, 3, 4, 3]
    assert (found["ks"][:4], found["e"][:4]) == ([7, 5, 3, 3], [6, 4, 6, 6]), "the last one moves up"
    other = list(network.ops)
    other[by_key["12"] + 2] = SKIP
    assert key(network.with_ops(ops)) != key(network.with_ops(other))


def test_networks_that_differ_only_in_where_a_block_is_missing_have_one_key() -> None:
    network = read(json.dumps(proxyless([(3, 1, 16, 1), (5, 3, 16, 1), (5, 3, 16, 1), (3, 3, 24, 2)])))
    by_key = {network.edge(slot).key: number for number, slot in enumerate(network.slots)}
    without = []
    for name in ("blocks/1", "blocks/2"):
        ops = list(network.ops)
        ops[by_key[name]] = SKIP
        without.append(key(network.with_ops(ops)))
    assert len(set(without)) == 1


def test_the_pooling_before_the_last_layers_is_the_mean_of_the_map() -> None:
    torch = pytest.importorskip("torch")
    from nat_plugin.nets.layers import build_layer

    for size in ((224, 224), (96, 160), (33, 33), (30, 20)):
        network = read(TEXTS["net.config"], NetworkSize(input=(3, *size), classes=3))
        pools = [layer for layer in network.head.layers if layer.tag == "pool"]
        maps = torch.randn(2, 4, *(-(-each // 32) for each in size))
        pooled = build_layer(pools[0])(maps) if pools else maps
        assert torch.allclose(pooled, maps.mean((2, 3), keepdim=True), atol=1e-6)


def test_the_module_computes_and_learns() -> None:
    torch = pytest.importorskip("torch")
    from nat_plugin.nets import build

    network = read(json.dumps(SMALL), TINY)
    module = build(network)
    module(torch.randn(2, 3, 20, 20)).sum().backward()
    assert all(parameter.grad is not None for parameter in module.parameters())


def test_the_natural_size() -> None:
    assert ADAPTER.natural_size(TEXTS["subnet"]) == NetworkSize(input=(3, 208, 208), classes=1000)
    assert ADAPTER.natural_size(json.dumps({**SMALL, "resolution": 160})) == NetworkSize(input=(3, 160, 160), classes=4)
    assert ADAPTER.natural_size(json.dumps(SMALL)).input == (3, 224, 224)


def fails(value: object, size: NetworkSize = TINY) -> str:
    with pytest.raises(NATError) as caught:
        read(value if isinstance(value, str) else json.dumps(value), size)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def with_inside(**changes: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(SMALL))
    found["blocks"][1]["mobile_inverted_conv"].update(changes)
    return found


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": 1}, "expected a net.config with first_conv, blocks and classifier"),
        ("{", "line 1"),
        ({**SMALL, "blocks": []}, "blocks: expected a list of 1 to 200 blocks"),
        ({**SMALL, "blocks": [3]}, "blocks/0: expected an object, not 3"),
        (
            {**SMALL, "blocks": [{"name": "ResNetBottleneckBlock"}]},
            "blocks/0: 'ResNetBottleneckBlock' is not supported",
        ),
        ({**SMALL, "first_conv": conv(1, 32, 3, 2)}, "first_conv: it takes images of 1 channels, these have 3"),
        ({**SMALL, "first_conv": conv(3, 31, 3, 2)}, "blocks/0: it takes 32 channels and gets 31"),
        ({**SMALL, "first_conv": {**conv(3, 32, 3, 2), "groups": 2}}, "first_conv/groups: 2 is not supported, only 1"),
        ({**SMALL, "first_conv": conv(3, 32, 4, 2)}, "first_conv/kernel_size: 4 is not supported"),
        ({**SMALL, "first_conv": conv(3, 32, 3, 4)}, "first_conv/stride: 4 is not supported"),
        ({**SMALL, "first_conv": conv(3, 32, 3, 2, "mish")}, "first_conv/act_func: 'mish' is not known"),
        ({**SMALL, "classifier": classifier(7)}, "classifier: it takes 7 features and gets 128"),
        ({**SMALL, "classifier": 7}, "classifier: expected an object"),
        ({**SMALL, "feature_mix_layer": conv(33, 128)}, "feature_mix_layer: it takes 33 channels and gets 32"),
        (with_inside(name="DynamicMBConvLayer"), "blocks/1/mobile_inverted_conv/name: 'DynamicMBConvLayer'"),
        (with_inside(expand_ratio="6"), "expand_ratio: expected a number up to 64, not '6'"),
        (
            with_inside(expand_ratio=1, mid_channels=20),
            "20 hidden channels of 16 and expand_ratio 1 do not go together",
        ),
        (with_inside(in_channels=10**9), "in_channels: expected a whole number from 1 to 100,000"),
        (with_inside(in_channels=True), "in_channels: expected a whole number"),
        (with_inside(act_func=None), "blocks/1/mobile_inverted_conv/act_func: a block without activations"),
        (with_inside(use_se="yes"), "blocks/1/mobile_inverted_conv/use_se: expected true or false, not 'yes'"),
        (
            {**SMALL, "first_conv": {**conv(3, 32, 3, 2), "use_bn": 0}},
            "first_conv/use_bn: expected true or false, not 0",
        ),
        (with_inside(kernel_size=None), "kernel_size: expected a whole number"),
        ({**SUBNET, "ks": [3] * 21}, "ks: OFA-MobileNetV3 has 20 entries, not 21 entries"),
        ({**SUBNET, "ks": [3] * 19 + [4]}, "ks, entry 19: 4 is not known; allowed: 3, 5, 7"),
        ({**SUBNET, "e": [True] * 20}, "e, entry 0: True is not known"),
        ({**SUBNET, "d": [2, 2, 2, 2, 5]}, "d, entry 4: 5 is not known; allowed: 2, 3, 4"),
        ({**SUBNET, "d": 3}, "d: OFA-MobileNetV3 has 5 entries, not 3"),
        ({**SUBNET, "wid": 1}, "wid: 1 is not read, only null"),
    ],
)
def test_mistakes_are_one_line_that_says_where(value: object, message: str) -> None:
    assert message in fails(value)


def test_sizes_that_the_text_says_itself() -> None:
    assert "leave 'cells' out" in fails(SMALL, NetworkSize(cells=3))
    assert "leave 'channels' out" in fails(SMALL, NetworkSize(channels=3))
    assert "16 (width 1.0) or 24 (width 1.2), not 20" in fails(SUBNET, NetworkSize(channels=20))


@given(damaged(st.sampled_from(sorted(TEXTS.values()))))
@settings(max_examples=120)
def test_damaged_text_raises_nothing_but_one_line(text: str) -> None:
    check_one_line_or_the_same_text(ADAPTER, text)


VALUES = st.sampled_from([[], {}, [1], 1e400]) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
FIELDS = (
    *("first_conv", "blocks", "classifier", "feature_mix_layer", "final_expand_layer", "shortcut", "act_func"),
    *("mobile_inverted_conv", "kernel_size", "expand_ratio", "mid_channels", "in_channels"),
)


@given(VALUES, st.sampled_from(FIELDS))
@settings(max_examples=150)
def test_any_value_in_any_field_raises_nothing_but_one_line(value: object, field: str) -> None:
    config: dict[str, Any] = json.loads(json.dumps(SMALL))
    block = config["blocks"][1]
    for place in (config, block, block["mobile_inverted_conv"], config["first_conv"]):
        if field in place or field in ("final_expand_layer", "act_func", "mid_channels"):
            place[field] = value
    check_any(ADAPTER, json.dumps(config), TINY)


def test_networks_of_other_formats_are_refused() -> None:
    network = read(json.dumps(SMALL))
    cell = network.by_name["network"]
    with pytest.raises(NATError, match="can only be written for a network that was read from it"):
        ADAPTER.write(from_json(to_json(network).replace('"ofa"', '"other"')))
    strange = network.with_cells([("network", cell.with_ops({1: SKIP}))])
    with pytest.raises(NATError, match="cannot represent what this network has at 'blocks/1'"):
        ADAPTER.write(strange)
    assert canonical(network).by_name["network"].output == cell.output
