"""NAS-Bench-201 strings: all 15,625 of them, to the letter, the parameter and the FLOP."""

from __future__ import annotations

import csv
import gzip
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nat_darts import DartsAdapter
from nat_nasbench import NB201Adapter, register_ops
from nat_nasbench.forms201 import ENDS
from nat_nasbench.nb201 import OPS, digits_of, from_digits

from nat_plugin.errors import NATError
from nat_plugin.ir import (
    Budget,
    Cost,
    Moves,
    Network,
    NetworkSize,
    canonical,
    cost,
    find_rule,
    from_json,
    is_connected,
    key,
    to_json,
)
from nat_plugin.ir.costs import total_as_built
from nat_plugin.ir.ops import register_op
from nat_plugin.plugins import plugins
from nat_plugin.writing import write_back
from tests.adapters.damage import check_any, check_refused

register_ops(register_op)
ADAPTER = NB201Adapter()
ALL = ["".join(digits) for digits in product("01234", repeat=6)]
NOTHING = from_digits("000000")
BEST = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"


def read(text: str, size: NetworkSize | None = None) -> Network:
    return ADAPTER.read(text, size or NetworkSize())


@pytest.fixture(scope="module")
def every() -> dict[str, Network]:
    """All cells, by their digits."""
    return {digits: read(from_digits(digits)) for digits in ALL}


def test_reading_then_writing_changes_nothing_in_any_cell(every: dict[str, Network]) -> None:
    assert len({from_digits(digits) for digits in ALL}) == 15_625
    for digits, network in every.items():
        assert ADAPTER.write(network) == from_digits(digits)
        assert digits_of(network) == digits


def test_costs_are_those_of_the_benchmark(every: dict[str, Network], shared_data: Path) -> None:
    """Its parameters are ours with dead operations counted; its FLOPs are our MACs, dead ones counted too, and one for
    each bias of the classifier. Ours leave dead operations out: what the cell without them costs in the benchmark."""
    table: dict[str, Cost] = {}
    with gzip.open(shared_data / "nasbench201.csv.gz", "rt") as file:
        for row in csv.DictReader(file):
            table[row["ops"]] = Cost(round(float(row["params_M"]) * 10**6), round(float(row["flops_M"]) * 10**6))
    biases = Cost(0, 10)
    assert len(table) == len(every)
    for digits, network in every.items():
        assert total_as_built(network) + biases == table[digits]
        if is_connected(network):
            assert cost(network) + biases == table[digits_of(canonical(network))]


def test_costs_are_those_of_the_built_network() -> None:
    torch = pytest.importorskip("torch")
    from nat_plugin.nets import build, count

    for text in (BEST, "|none~0|+|nor_conv_1x1~0|avg_pool_3x3~1|+|nor_conv_3x3~0|skip_connect~1|avg_pool_3x3~2|"):
        network = read(text, NetworkSize(channels=8, cells=6, input=(3, 16, 16), classes=100))
        with torch.device("meta"):
            module = build(network)
        assert count(module, network.input) == cost(network)


def test_the_network_of_the_benchmark() -> None:
    network = read(BEST)
    assert [placement.cell for placement in network.placements].count("cell") == 15
    assert [n for n, placement in enumerate(network.placements) if placement.cell == "residual"] == [5, 11]
    assert {placement.channels for placement in network.placements} == {16, 32, 64}
    assert len(read(BEST, NetworkSize(cells=3)).placements) == 5
    with pytest.raises(NATError, match="the same number in each of its 3 stages; 4 cannot be divided so"):
        read(BEST, NetworkSize(cells=4))


def test_published_cells_are_read() -> None:
    shown = ADAPTER.published()
    resnet = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|"
    assert shown["NB201_ResNet"].text == resnet
    assert all(ADAPTER.write(read(each.text)) == each.text for each in shown.values())
    assert all(each.origin.startswith("D-X-Y/AutoDL-Projects ") for each in shown.values())


@pytest.mark.parametrize("layout", ["{}", "  {}\n", "'{}'", '"{}"\n'])
def test_what_stands_around_a_string_is_kept(layout: str) -> None:
    text = layout.format(BEST)
    assert ADAPTER.recognises(text)
    network = read(text)
    assert network == read(BEST)
    assert ADAPTER.write(network) == text
    moved = network.with_ops([OPS["none"], *network.ops[1:]])
    assert ADAPTER.write(moved) == layout.format(BEST.replace("nor_conv_3x3~0", "none~0", 1))


def test_entries_of_a_node_may_stand_in_another_order() -> None:
    text = "|nor_conv_3x3~0|+|nor_conv_3x3~1|skip_connect~0|+|nor_conv_1x1~2|skip_connect~0|nor_conv_3x3~1|"
    network = read(text)
    assert digits_of(network) == "313132"
    assert ADAPTER.write(network) == text
    moved = network.with_ops([*network.ops[:5], OPS["none"]])
    assert ADAPTER.write(moved) == text.replace("nor_conv_1x1~2", "none~2")


@given(st.sampled_from(ALL), st.sampled_from(["nat", "nat++"]), st.integers(0, 2**32 - 1))
@settings(max_examples=80)
def test_moved_cells_are_written_and_read_back(digits: str, rule: str, seed: int) -> None:
    network, size = read(from_digits(digits)), NetworkSize()
    moves = Moves(network, find_rule(rule))
    moved = moves.apply(moves.sample(np.random.default_rng(seed)))
    text = write_back(ADAPTER, moves, moved, size)
    again = read(text)
    assert key(again) == key(moved)
    assert cost(again) == cost(moved)
    assert from_json(to_json(moved)) == moved


def test_a_cell_that_ignores_its_input_is_connected_by_legal_moves(every: dict[str, Network]) -> None:
    torch = pytest.importorskip("torch")
    from nat_plugin.policy.apply import transform
    from nat_plugin.policy.network import PolicyConfig, new_policy

    broken = [network for network in every.values() if not is_connected(network)]
    assert NOTHING in {ADAPTER.write(network) for network in broken}
    rule = find_rule("nat")
    found = transform(broken, rule, Budget(), new_policy(PolicyConfig(), 0, torch.device("cpu")))
    for before, after in zip(broken, found, strict=True):
        assert is_connected(after)
        text = write_back(ADAPTER, Moves(before, rule), after, NetworkSize())
        assert is_connected(read(text))


def test_what_such_a_cell_costs_is_not_said() -> None:
    network = read(NOTHING)
    for ask in (cost, canonical, Budget.parse({"macs": "1.0x"}).resolve):
        with pytest.raises(NATError, match="no operation leads from an input of the cell to its output") as caught:
            ask(network)
        assert "\n" not in str(caught.value)
    limits = Budget.parse({"params": "100k"}).resolve(network)  # an absolute limit asks nothing of it
    moves = Moves(network, find_rule("nat"), limits)
    assert cost(moves.apply(moves.sample(np.random.default_rng(0)))).params == 73_306


def test_networks_of_other_formats_are_refused() -> None:
    darts = DartsAdapter()
    with pytest.raises(NATError, match="cannot represent this network: it has no cell 'cell' of four nodes"):
        ADAPTER.write(darts.read(darts.published()["DARTS_V2"].text, NetworkSize()))
    network = read(BEST)
    cell = network.by_name["cell"]
    fewer = network.with_cells([("cell", cell.copy_with(edges=cell.edges[:-1]))])
    with pytest.raises(NATError, match="its cell has other edges"):
        ADAPTER.write(fewer)
    other = network.with_cells([("cell", cell.with_ops({0: network.by_name["residual"].edges[1].op}))])
    with pytest.raises(NATError, match=r"cannot represent 'nb201_shortcut' \(0->1\); it has none, skip_connect"):
        ADAPTER.write(other)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "3 nodes joined by '+', not 1"),
        ("|none~0|+|none~0|none~1|", "3 nodes joined by '+', not 2"),
        (BEST + "+|none~0|", "3 nodes joined by '+', not 4"),
        (BEST.replace("|nor_conv_3x3~0|+", "nor_conv_3x3~0|+", 1), "node 1: 1 op, with a bar before"),
        (BEST.replace("|nor_conv_3x3~1|+", "|+"), "node 2: 2 ops, with a bar before, after and between"),
        (
            BEST.replace("skip_connect", "skip"),
            "node 3: 'skip' is not known; allowed: none, skip_connect, nor_conv_1x1",
        ),
        (BEST.replace("nor_conv_1x1~2", "nor_conv_1x1"), "node 3: an entry is an op, '~' and the node it comes from"),
        (BEST.replace("nor_conv_1x1~2", "nor_conv_1x1~3"), "node 3: it cannot read node '3'; it has 0 to 2 before it"),
        (BEST.replace("nor_conv_1x1~2", "nor_conv_1x1~02"), "node 3: it cannot read node '02'"),
        (BEST.replace("nor_conv_1x1~2", "nor_conv_1x1~0"), "node 3: it reads node 0 twice"),
        ("|" * 2000, "this text has 2,000 characters"),
    ],
)
def test_mistakes_are_one_line_that_says_where(text: str, message: str) -> None:
    check_refused(ADAPTER, text, message)


@given(st.text(max_size=60) | st.text("|+~012none", max_size=60))
def test_random_text_raises_nothing_but_one_line(text: str) -> None:
    check_any(ADAPTER, text)


def test_no_other_adapter_takes_a_cell_for_its_own() -> None:
    assert [name for name, each in plugins().adapters.items() if each.recognises(BEST)] == ["nasbench201"]
    assert len(ENDS) == 6
