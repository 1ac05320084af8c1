"""The spaces of NNI's hub: samples to networks and back, with the costs of the frozen models."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from adapters.nni.nni_samples import check_moved, check_sample, drawn
from nat_nni.mapping import to_network, to_sample
from nat_nni.spaces.hub import CELL_SPACES
from nat_nni.spaces.nds import NDSSpace
from nni.nas.hub.pytorch import (
    DARTS,
    ENAS,
    PNAS,
    AmoebaNet,
    AutoFormer,
    MobileNetV3Space,
    NasBench101,
    NasBench201,
    NASNet,
    ProxylessNAS,
    ShuffleNetSpace,
)

from nat_plugin.errors import NATError
from nat_plugin.ir import Moves, cost, find_rule

SMALL_MOBILE = {
    "base_widths": (8, 8, 16, 24, 32, 40),
    "squeeze_excite": ("none", "optional", "force"),
    "stride": (2, 1, 2, 2, 1, 1),
    "activation": ("hswish",) * 6,
    "depth_range": (1, 3),
    "expand_ratios": (1.0, 2.0, 3.0),
    "width_multipliers": (0.5, 1.0),
    "num_labels": 10,
}
SPACES: dict[str, tuple[Any, dict[str, Any]]] = {
    "DARTS": (DARTS, {"width": 8, "num_cells": 4}),
    "DARTS of some sizes": (DARTS, {"width": (8, 12), "num_cells": (3, 4)}),
    "DARTS for ImageNet": (DARTS, {"width": 8, "num_cells": 3, "dataset": "imagenet"}),
    "ENAS": (ENAS, {"width": 8, "num_cells": 3}),
    "AmoebaNet": (AmoebaNet, {"width": 8, "num_cells": 3}),
    "NASNet": (NASNet, {"width": 8, "num_cells": 3}),
    "PNAS": (PNAS, {"width": 8, "num_cells": 3}),
    "NasBench201": (NasBench201, {"stem_out_channels": 8, "num_modules_per_stack": 2, "num_labels": 7}),
    "NasBench101": (NasBench101, {"stem_out_channels": 16, "num_modules_per_stack": 2}),
    "MobileNetV3Space": (MobileNetV3Space, SMALL_MOBILE),
}


def build(name: str) -> Any:
    kind, arguments = SPACES[name]
    with torch.device("meta"):
        return kind(**arguments)


@pytest.mark.parametrize("name", SPACES)
def test_samples_go_to_networks_and_back_at_the_cost_of_the_frozen_model(name: str) -> None:
    space = build(name)
    shape = (3, 64, 64) if name == "MobileNetV3Space" else None
    network = check_sample(space, drawn(space, 1), shape)
    check_moved(space, network, "nat++" if name in ("NasBench101", "MobileNetV3Space") else "nat", 1)


@pytest.mark.parametrize("kind", [ProxylessNAS, ShuffleNetSpace])
def test_spaces_of_blocks(kind: Any) -> None:
    with torch.device("meta"):
        space = kind(num_labels=10)
    network = check_sample(space, drawn(space, 0), (3, 64, 64))
    assert check_moved(space, network, "nat++", 0) != to_sample(space, network)


def test_blocks_that_are_dropped_are_the_last_ones() -> None:
    with torch.device("meta"):
        space = ProxylessNAS(num_labels=10)
    sample = {**drawn(space, 3), "s3_depth": 4, "s3_i1": "k7e6", "s3_i2": "k3e3", "s3_i3": "k5e3"}
    network = to_network(space, sample, (3, 64, 64))
    keys = [network.edge(slot).key for slot in network.slots]
    moves = Moves(network, find_rule("nat"))
    choice = [0] * len(keys)
    choice[keys.index("s3_i2")] = 1
    assert str(moves.candidates[keys.index("s3_i2")][1]) == "skip"
    assert moves.candidates[keys.index("s3_i0")][1:] == (), "the first block changes the shape"
    moved = to_sample(space, moves.apply(choice))
    assert moved == {**sample, "s3_depth": 3, "s3_i2": "k5e3"}


def test_the_searched_model_of_darts_costs_what_is_published() -> None:
    with torch.device("meta"):
        space = DARTS(width=36, num_cells=20)
    sample = {
        f"{cell}/{kind}_{node}_{number}": value
        for cell, rows in (("normal", _NORMAL), ("reduce", _REDUCE))
        for node, row in enumerate(rows, start=2)
        for number, (op, source) in enumerate(row)
        for kind, value in (("op", op), ("input", source))
    }
    network = to_network(space, sample)
    assert (cost(network).params, cost(network).macs) == (3_349_342, 528_359_040)
    written = to_sample(space, network)
    assert written["normal/input_5_1"] == [2], "bare numbers of NNI 2 are read, lists are written"


_S, _I, _M = "sep_conv_3x3", "skip_connect", "max_pool_3x3"
_NORMAL = [[(_S, 0), (_S, 1)], [(_S, 0), (_S, 1)], [(_S, 1), (_I, 0)], [(_I, 0), ("dil_conv_3x3", 2)]]
_REDUCE = [[(_M, 0), (_M, 1)], [(_I, 2), (_M, 1)], [(_M, 0), (_I, 2)], [(_I, 2), (_M, 1)]]


def test_what_is_known_without_nni_is_what_nni_has() -> None:
    with torch.device("meta"):
        for kind in (DARTS, ENAS, AmoebaNet, NASNet, PNAS):
            known = replace(CELL_SPACES[kind.__name__], width=8, cells=(3, 4))
            space = kind(width=8, num_cells=(3, 4))
            assert NDSSpace.of(space) == known
            assert {label: len(each.values) for label, each in known.domains().items()} == {
                label: len(each.values) for label, each in space.simplify().items()
            }


def test_stock_spaces_cannot_hold_null() -> None:
    space = build("ENAS")
    network = to_network(space, drawn(space, 0))
    assert not any(op.is_null for options in Moves(network, find_rule("nat")).candidates for op in options)
    cell = network.by_name["normal"]
    from nat_plugin.ir import NULL

    cut = network.with_cells([("normal", cell.with_ops({0: NULL}))])
    with pytest.raises(NATError, match=r"ENAS cannot represent 'null' \(normal/op_2_0\).*nat_nni.spaces"):
        to_sample(space, cut)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"normal/op_2_0": "conv_9x9"}, r"'normal/op_2_0' is 'conv_9x9'; allowed: 'max_pool_3x3'"),
        ({"normal/op_2_0": None}, r"'normal/op_2_0' is None; allowed"),
        ({"normal/input_2_0": [2]}, r"'normal/input_2_0' is \[2\]; it takes a list of 1 of 0, 1"),
        ({"normal/input_2_0": [0, 1]}, r"it takes a list of 1 of 0, 1"),
        ({"normal/input_2_0": True}, r"it takes a list of 1 of 0, 1"),
        ({"normal/op_2_7": "sep_conv_3x3"}, r"DARTS has no label 'normal/op_2_7'; did you mean 'normal/op_2_\d'"),
        ({7: "sep_conv_3x3"}, r"DARTS has no label '7'"),
    ],
)
def test_samples_that_are_wrong_are_refused_by_label(change: dict[Any, Any], complaint: str) -> None:
    space = build("DARTS")
    with pytest.raises(NATError, match=complaint):
        to_network(space, {**drawn(space, 0), **change})


def test_other_wrong_input_is_refused_in_one_line() -> None:
    space = build("DARTS")
    sample = drawn(space, 0)
    with pytest.raises(NATError, match="DARTS needs 'normal/op_3_1' too"):
        to_network(space, {label: value for label, value in sample.items() if label != "normal/op_3_1"})
    with pytest.raises(NATError, match="a sample is a mapping of labels to values, not list"):
        to_network(space, [sample])  # type: ignore[arg-type]
    with pytest.raises(NATError, match="a model space is an instance of"):
        to_network(DARTS, sample)
    with pytest.raises(NATError, match="takes images of 3 channels, not 1"):
        to_network(space, sample, (1, 32, 32))
    with pytest.raises(NATError, match="NasBench201 cannot represent this network"):
        to_sample(build("NasBench201"), to_network(space, sample))
    nasbench = build("NasBench101")
    with pytest.raises(NATError, match="NasBench101 refuses it"):
        to_network(nasbench, {**drawn(nasbench, 0), "cell/num_nodes": 3, "cell/input1": [], "cell/input2": []})


def test_transformers_are_measured_like_any_space() -> None:
    sizes = {"search_embed_dim": (48, 64), "search_num_heads": (1, 2), "search_mlp_ratio": (1.0, 2.0)}
    space = AutoFormer(search_depth=(2, 3), num_labels=10, img_size=64, **sizes)
    network = check_sample(space, {**drawn(space, 0), "depth": 3}, (3, 64, 64))
    assert next(network.edge(slot).key for slot in network.slots) == "num_head_0+mlp_ratio_0"
    check_moved(space, network, "nat++", 0)
