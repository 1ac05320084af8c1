"""No text is taken by two adapters, whatever form it has; and every text that an adapter ships is taken by that one."""

from __future__ import annotations

import json
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nat_plugin.ir import to_json
from nat_plugin.plugins import plugins

ADAPTERS = plugins().adapters
MATRIX = [[0, 1, 1, 0], [0, 0, 1, 1], [0, 0, 0, 1], [0, 0, 0, 0]]
VERTICES = ["input", "conv3x3-bn-relu", "maxpool3x3", "output"]
CELL = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|avg_pool_3x3~2|"
CONV = {"name": "ConvLayer", "kernel_size": 3, "stride": 2, "in_channels": 3, "out_channels": 16, "act_func": "relu6"}
MIXED = {**CONV, "kernel_size": 1, "stride": 1, "in_channels": 16, "out_channels": 32}
LAYER = "MBInvertedConvLayer"
INSIDE = {"name": LAYER, "in_channels": 16, "out_channels": 16, "kernel_size": 3, "stride": 1, "expand_ratio": 6}
CONFIG = {
    "name": "ProxylessNASNets",
    "first_conv": CONV,
    "blocks": [{"name": "MobileInvertedResidualBlock", "mobile_inverted_conv": INSIDE, "shortcut": None}],
    "feature_mix_layer": MIXED,
    "classifier": {"name": "LinearLayer", "in_features": 32, "out_features": 10, "bias": True},
}
SUBNET = {"ks": [3] * 20, "e": [6] * 20, "d": [2] * 5}
GENOTYPE = ADAPTERS["darts"].published()["DARTS_V2"].text
PAIRS = "(((0, 3), (1, 4), (0, 3), (1, 0)), ((0, 1), (1, 2), (2, 2), (1, 0)))"
TEXTS = {
    "darts": [f"2020-01-01 genotype = {GENOTYPE}", f'"{GENOTYPE}"', f"a = 1\nb = {GENOTYPE}\n"],
    "darts-compact": [PAIRS, PAIRS.replace("(", "[").replace(")", "]"), f"'{PAIRS}'"],
    "enas-micro": [
        "[0 1 1 0]\n[0 0 1 1]",
        "tensor([0, 1, 1, 0, 0, 0, 1, 1], device='cuda:0')",
        'fixed_arc="0 1 1 0"\nfixed_arc="$fixed_arc 0 0 1 1"\n',
        "[[0, 1, 1, 0], [0, 0, 1, 1]]",
        "(0, 1, 1, 0, 0, 0, 1, 1)",
    ],
    "enas-macro": ['fixed_arc="0"\nfixed_arc="$fixed_arc 5 1"\n', "[[0], [5, 1], [2, 0, 1]]", "0 5 1 2 0 1", "0,5,1"],
    "nasbench201": [CELL, f"best: Structure(4 nodes with {CELL})", "(4, 0, 1, 1, 0, 1)", "[0, 1, 0, 3, 2, 4]",
                    "((('nor_conv_3x3', 0),), (('none', 0), ('none', 1)), (('none', 0), ('none', 1), ('none', 2)))"],
    "nasbench101": [
        f"ModelSpec(matrix={MATRIX}, ops={VERTICES})",
        repr((MATRIX, VERTICES)),
        json.dumps({"matrix": MATRIX, "ops": VERTICES}),
        repr({"module_adjacency": MATRIX, "module_operations": VERTICES}),
        "([[0, 1], [0, 0]], ['input', 'output'])",
    ],
    "nasbench-macro": ["11111111", "'01201201'"],
    "ofa": [json.dumps(CONFIG), json.dumps(CONFIG, indent=2), repr(CONFIG), json.dumps(SUBNET)],
    "nni": [
        '{"normal/op_2_0": "sep_conv_3x3"}',
        '{"cell/op1": "conv3x3-bn-relu", "cell/num_nodes": 3}',
        '{"cell/0_1": "conv_3x3"}',
    ],
    "timm": ['{"architecture": "resnet18"}'],
}  # fmt: skip


def takers(text: str) -> list[str]:
    return [name for name, adapter in ADAPTERS.items() if adapter.recognises(text)]


@pytest.mark.parametrize("name", TEXTS)
def test_every_form_is_taken_by_one_adapter(name: str) -> None:
    for text in TEXTS[name]:
        assert takers(text) == [name], text


def test_every_published_architecture_is_taken_by_its_adapter() -> None:
    for name, adapter in ADAPTERS.items():
        if name != "timm":  # names of models
            for published in adapter.published().values():
                assert takers(published.text) == [name]


@pytest.mark.parametrize("name", [name for name in TEXTS if name not in ("nni", "timm")])
def test_networks_as_json_are_no_text_of_the_format_that_they_came_from(name: str) -> None:
    for text in TEXTS[name]:
        network = ADAPTERS[name].read(text, ADAPTERS[name].natural_frame(text))
        for indent in (None, 2):
            assert takers(to_json(network, indent=indent)) == ["network"]


def test_all_adapters_have_a_text_here() -> None:
    assert {*TEXTS, "network"} == {*ADAPTERS}


@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=40),
    st.sampled_from(["[{}]", "({})", "{}", "'({})'"]),
    st.sampled_from([" ", ", ", ","]),
)
def test_no_integers_are_taken_by_two(values: list[int], around: str, between: str) -> None:
    assert len(takers(around.format(between.join(map(str, values))))) <= 1


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 4)), min_size=1, max_size=20), st.booleans())
def test_no_pairs_are_taken_by_two(pairs: list[tuple[int, int]], twice: bool) -> None:
    for kinds in product((tuple, list), repeat=2):
        text = repr(kinds[0]([kinds[1](pairs), kinds[1](pairs)]) if twice else kinds[0](pairs))
        assert len(takers(text)) <= 1


def test_all_rows_of_six_in_brackets_are_cells_of_nas_bench_201() -> None:
    rows = product(range(2), range(2), range(2), range(5), range(2), range(2))
    assert all(takers(repr(row)) == ["nasbench201"] for row in rows)
