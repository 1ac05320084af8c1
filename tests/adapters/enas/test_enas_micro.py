"""Micro strings: two cells of integers, whose layout is kept."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nat_darts import DartsAdapter
from nat_enas import MicroAdapter, register_ops

from nat_plugin.errors import NATError
from nat_plugin.ir import (
    NULL,
    SKIP,
    Cost,
    Moves,
    Network,
    NetworkSize,
    canonical,
    cost,
    find_rule,
    from_json,
    key,
    to_json,
)
from nat_plugin.ir.ops import register_op
from nat_plugin.writing import extended
from tests.adapters.damage import check_any, check_refused

register_ops(register_op)
ADAPTER = MicroAdapter()
PUBLISHED = ADAPTER.published()["ENAS_micro"].text


def read(text: str, size: NetworkSize | None = None) -> Network:
    return ADAPTER.read(text, size or NetworkSize())


def test_the_published_string() -> None:
    network = read(PUBLISHED)
    assert [str(edge.op) for edge in network.by_name["normal"].edges[:4]] == [
        "avg_pool_3x3",
        "sep_conv_3x3",
        "skip",
        "sep_conv_5x5",
    ]
    assert network.by_name["normal"].output == (2, 3, 4, 5, 6)
    assert network.by_name["reduce"].output == (2, 4, 5, 6)
    assert len(network.placements) == 17
    assert [n for n, placement in enumerate(network.placements) if placement.cell == "reduce"] == [5, 11]
    assert cost(network) == Cost(3_729_430, 590_384_160)
    assert cost(read(PUBLISHED, NetworkSize(cells=20))) == Cost(4_394_710, 693_197_856)
    assert ADAPTER.published()["ENAS_micro"].origin.startswith("melodyguan/enas ")


def test_the_cell_that_nat_calls_enas_is_another_one() -> None:
    darts = DartsAdapter()
    nat = darts.read(darts.published()["ENAS"].text, NetworkSize())
    assert (round(cost(nat).params / 1e6, 3), round(cost(nat).macs / 1e6)) == (3.860, 606)
    assert key(nat) != key(read(PUBLISHED, NetworkSize(cells=20)))


@pytest.mark.parametrize(
    "layout",
    [
        "{0}\n{1}",
        "{0} {1}",
        "{0} + {1}",
        "[{0}]\n[{1}]\n",
        "  '{0}  {1}'",
        "({0},\t{1})",
    ],
)
def test_the_layout_is_kept(layout: str) -> None:
    text = layout.format(*PUBLISHED.split("\n"))
    assert ADAPTER.recognises(text)
    network = read(text)
    assert network == read(PUBLISHED)
    assert ADAPTER.write(network) == ADAPTER.write(canonical(network)) == text
    moved = network.with_ops([SKIP, *network.ops[1:]])
    assert ADAPTER.write(moved) == text.replace("0 2 0 0 0 4", "0 4 0 0 0 4", 1)


@st.composite
def strings(draw: st.DrawFn) -> str:
    nodes = draw(st.integers(1, 6))
    rows = []
    for _ in range(2):
        row = []
        for node in range(2, 2 + nodes):
            for _ in range(2):
                row += [draw(st.integers(0, node - 1)), draw(st.integers(0, 4))]
        rows.append(" ".join(map(str, row)))
    return draw(st.sampled_from([" ", "\n", " + "])).join(rows)


@given(strings(), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_random_strings_and_their_transformations_round_trip(text: str, seed: int) -> None:
    numpy = pytest.importorskip("numpy")
    size = NetworkSize(channels=4, cells=3)
    network = read(text, size)
    assert ADAPTER.write(network) == text
    moves = Moves(network, find_rule("nat++"))
    moved = moves.apply(moves.sample(numpy.random.default_rng(seed)))
    written = read(ADAPTER.write(canonical(moved)), size)
    assert written == moved
    assert cost(written) == cost(moved)


def test_an_unused_input_is_in_the_output_as_enas_has_it() -> None:
    network = read("1 0 1 0 1 0 0 1", NetworkSize(channels=4, cells=3))
    assert network.by_name["normal"].output == (0, 2)
    reduce = network.by_name["reduce"]
    assert (reduce.output, str(reduce.edges[-1].op)) == ((2,), "sep_conv_5x5")
    halved = read("1 0 1 0 1 0 1 1", NetworkSize(channels=4, cells=3)).by_name["reduce"]
    assert (halved.output, str(halved.edges[-1].op), halved.edges[-1].editable) == ((3, 2), "enas_reduce", False)


def test_costs_are_those_of_the_built_network() -> None:
    torch = pytest.importorskip("torch")
    from nat_plugin.nets import build, count

    for text in (PUBLISHED, "1 0 1 0 1 0 1 1"):
        network = read(text, NetworkSize(channels=8, cells=5))
        with torch.device("meta"):
            module = build(network)
        assert count(module, network.input) == cost(network)


def test_null_needs_the_extended_form() -> None:
    network = read(PUBLISHED)
    assert NULL not in network.edge(network.slots[0]).choices
    wide = extended(network)
    moved = wide.with_ops([NULL, *wide.ops[1:]])
    with pytest.raises(NATError, match=r"cannot represent 'null' \(normal/0\).*--extended"):
        ADAPTER.write(moved)
    assert from_json(to_json(moved)) == moved


def test_cells_of_another_format() -> None:
    darts = DartsAdapter()
    pairs = "[('sep_conv_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('sep_conv_5x5', 0)]"
    text = f"Genotype(normal={pairs}, normal_concat=[3], reduce={pairs}, reduce_concat=[3])"
    assert ADAPTER.write(darts.read(text, NetworkSize())) == "0 0 1 3 2 4 0 1\n0 0 1 3 2 4 0 1"
    with pytest.raises(NATError, match="its cells have other edges or outputs"):
        ADAPTER.write(darts.read(text.replace("[3]", "[2, 3]"), NetworkSize()))
    with pytest.raises(NATError, match="cannot represent 'dil_conv_3x3'"):
        ADAPTER.write(darts.read(darts.published()["DARTS_V2"].text, NetworkSize()))
    again = darts.write(read(PUBLISHED))
    assert again.startswith("Genotype(normal=[('avg_pool_3x3', 0), ('sep_conv_3x3', 0), ('skip_connect', 0)")
    assert key(darts.read(again, NetworkSize(cells=17))) == key(read(PUBLISHED))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the text has no integers"),
        ("0 0 0", "3 integers are not a micro string"),
        ("0 0 0 0 0 0", "6 integers are not a micro string"),
        ("0 0 0 0\n0 0 x 0", "line 2: 'x' is not allowed"),
        ("0 0 0 0 0 0 -1 0", "line 1: '-' is not allowed"),
        ("0 0 0 0 0 0 1.0 0", "line 1: '.' is not allowed"),
        ("0 0 2 0 0 0 0 0", "normal cell, node 2: it cannot read node 2; it has 0 to 1 before it"),
        ("0 0 0 0 0 0 0 5", "reduce cell, node 2: there is no op 5; allowed: 0 sep_conv_3x3"),
        ("0 0 + 0 0 0 0 0 0", "the '+' of a micro string stands between its two cells"),
        ("0 0 0 0 + 0 0 0 0 + 0", "9 integers"),
        ("+ 0 0 0 0 0 0 0 0", "the '+' of a micro string stands between its two cells"),
        ("0 " * 4 * 2 * 65, "a cell of 65 nodes is too large"),
        ("0 " * 5000, "more than 4,096 integers"),
        ("0 0 0 0 0 0 0 99999", "'99999' is not allowed"),
        ("٣ 0 0 0 0 0 0 0", "is not allowed"),
    ],
)
def test_mistakes_are_one_line_that_says_where(text: str, message: str) -> None:
    check_refused(ADAPTER, text, message)


@given(st.text(max_size=60) | st.text("0123 +\n", max_size=60))
def test_random_text_raises_nothing_but_one_line(text: str) -> None:
    check_any(ADAPTER, text)
