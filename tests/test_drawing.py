"""Drawings and descriptions say what the network is."""

from __future__ import annotations

import pytest

from nat_plugin.describing import describe, summary
from nat_plugin.drawing import draw, draw_cell, draw_change, op_label, op_labels
from nat_plugin.ir import NULL, SKIP, NetworkSize, Op, cost
from nat_plugin.plugins import plugins

DARTS = plugins().adapters["darts"]
NETWORK = DARTS.read(DARTS.published()["DARTS_V2"].text, NetworkSize())


def test_a_cell_is_one_line_a_node() -> None:
    assert draw_cell(NETWORK.by_name["normal"]) == [
        "  2 = sep_conv_3x3(in0) + sep_conv_3x3(in1)",
        "  3 = sep_conv_3x3(in0) + sep_conv_3x3(in1)",
        "  4 = sep_conv_3x3(in1) + skip(in0)",
        "  5 = skip(in0) + dil_conv_3x3(2)",
        "out = concat(2, 3, 4, 5)",
    ]


def test_changes_are_marked_and_dead_nodes_leave() -> None:
    ops = list(NETWORK.ops)
    ops[0], ops[4], ops[5] = SKIP, NULL, NULL
    lines = draw_change(NETWORK, NETWORK.with_ops(ops)).splitlines()
    assert lines[1] == "    2 = [sep_conv_3x3 -> skip](in0) + sep_conv_3x3(in1)"
    assert lines[3] == "    4 = [sep_conv_3x3 -> null](in1) + [skip -> null](in0)"
    assert lines[5] == "  out = concat(2, 3, 5)"
    assert "->" not in draw(NETWORK)


def test_a_description_has_exact_costs_by_edge() -> None:
    found, total = describe(NETWORK), cost(NETWORK)
    assert (found["params"], found["macs"], found["depth"], found["channels"]) == (total.params, total.macs, 20, 36)
    assert {name: cell["placements"] for name, cell in found["cells"].items()} == {"normal": 18, "reduce": 2}
    assert [edge["macs"] for edge in found["cells"]["normal"]["edges"] if edge["op"] == "skip"] == [0, 0]
    assert "3.349M parameters, 528M MACs" in summary(NETWORK)


def test_a_summary_of_a_small_network_has_the_numbers_themselves() -> None:
    small = DARTS.read(DARTS.published()["DARTS_V2"].text, NetworkSize(channels=1, cells=3, input=(1, 8, 8)))
    total = cost(small)
    assert total.macs < 1e6
    assert f"{total.params:,} parameters, {total.macs:,} MACs" in summary(small)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("sep_conv_3x3", "sep_conv_3x3"),
        ("null", "null"),
        ("mbconv_k3_e6_se0.25", "mbconv_k3_e6_se0.25"),
        ("opaque:s1_exp/6.5:12,13:40", "s1_exp/6.5"),
    ],
)
def test_an_op_is_called_without_the_costs_that_it_states(text: str, label: str) -> None:
    assert op_label(Op.parse(text)) == label


def test_two_ops_that_differ_in_costs_alone_can_be_told_apart() -> None:
    small, large = Op.parse("opaque:mine:1:2"), Op.parse("opaque:mine:3:4")
    assert op_labels(small, large) == ("opaque:mine:1:2", "opaque:mine:3:4")
    assert op_labels(small, small) == ("mine", "mine")
