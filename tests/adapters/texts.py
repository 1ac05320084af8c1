"""A text of every form that an adapter reads, beside what ships."""

from __future__ import annotations

import json

from nat_plugin.plugins import plugins

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
GENOTYPE = plugins().adapters["darts"].published()["DARTS_V2"].text
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
    "transnas": ["64-41414-1_02_333", " '64-414-0_31_213'\n", "16-4311-3_33_333"],
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
