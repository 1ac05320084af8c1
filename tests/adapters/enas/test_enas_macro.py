"""Macro strings: a whole network of integers, with costs that are exact."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nat_enas import EnasMacroAdapter, MicroAdapter, register_ops
from nat_enas.ops import MACRO, MERGE

from nat_plugin.errors import NATError
from nat_plugin.ir import NULL, Cost, Moves, Network, NetworkSize, canonical, cost, find_rule, from_json, key, to_json
from nat_plugin.ir.ops import register_op
from nat_plugin.writing import extended
from tests.adapters.damage import check_refused

register_ops(register_op)
ADAPTER = EnasMacroAdapter()
PUBLISHED = ADAPTER.published()["ENAS_macro"].text
SMALL = NetworkSize(channels=4, input=(3, 16, 16))


def read(text: str, size: NetworkSize | None = None) -> Network:
    return ADAPTER.read(text, size or SMALL)


def by_hand(text: str, size: NetworkSize) -> Cost:
    """Written out from ``general_child.py``: every branch, every concatenation, a reduction for each tensor in use."""
    values = list(map(int, text.split()))
    rows: list[tuple[int, list[int]]] = []
    while values:
        rows.append((values[0], values[1 : len(rows) + 1]))
        values = values[len(rows[-1][1]) + 1 :]
    c, (image, height, width) = size.channels or 96, size.input
    pixels = height * width
    params, macs = 9 * image * c + 2 * c, 9 * image * c * pixels
    third = len(rows) // 3
    level_of, level = [0], 0  # of the stem and each layer
    reads: list[tuple[int, int]] = []  # a tensor, and the level at which it is read

    def conv(weights: int, norm: bool) -> None:
        nonlocal params, macs
        params += weights + 2 * c * norm
        macs += weights * pixels

    for number, (op, bits) in enumerate(rows):
        conv(c * c, True)
        k = {0: 3, 1: 3, 2: 5, 3: 5}.get(op)
        if op in (0, 2):
            conv(k * k * c * c, True)  # type: ignore[operator]
        elif op in (1, 3):
            conv(k * k * c, False)  # type: ignore[operator]
            conv(c * c, True)
        reads.append((number, level))
        if number:
            conv((sum(bits) + 1) * c * c, True)
            reads += [(source, level) for source, bit in enumerate(bits) if bit]
        level_of.append(level)
        if number in (third - 1, 2 * third - 1):
            level += 1
            c *= 2
            height, width = -(-height // 2), -(-width // 2)
            pixels = height * width
    reads.append((len(rows), level))
    for tensor, own in enumerate(level_of):
        needed = max((at for source, at in reads if source == tensor), default=0)
        for at in range(own, needed):
            wide, halves = (size.channels or 96) * 2 ** (at + 1), 2 ** (at + 1)
            area = -(-size.input[1] // halves) * -(-size.input[2] // halves)
            params += wide * wide // 2 + 2 * wide
            macs += wide * wide // 2 * area
    return Cost(params + c * size.classes + size.classes, macs + c * size.classes)


def test_the_published_string() -> None:
    network = read(PUBLISHED, NetworkSize())
    assert cost(network) == by_hand(PUBLISHED, NetworkSize()) == Cost(30_947_434, 4_370_280_192)
    assert len(network.slots) == 24 + 276
    assert ADAPTER.write(network) == ADAPTER.write(canonical(network)) == PUBLISHED
    assert from_json(to_json(network)) == network
    assert ADAPTER.recognises(PUBLISHED)
    assert not MicroAdapter().recognises(PUBLISHED)
    assert ADAPTER.published()["ENAS_macro"].origin.startswith("melodyguan/enas ")


def test_bits_count_the_stem_first() -> None:
    network = read("0  1 1  2 0 1", NetworkSize())
    cell = network.by_name["network"]
    edges = {edge.key: edge for edge in cell.edges}
    assert [str(edges[f"op/{n}"].op) for n in range(3)] == ["enas_conv_3x3", "enas_sep_conv_3x3", "enas_conv_5x5"]
    assert edges["op/0"].source == 0
    assert edges["op/1"].source == edges["reduce/0/1"].target  # the layer before, after the halving behind layer 0
    assert (edges["skip/1/0"].source, edges["skip/1/0"].op) == (edges["reduce/0/0"].target, MERGE)
    assert (edges["skip/2/0"].op, edges["skip/2/1"].op) == (NULL, MERGE)
    assert edges["skip/2/1"].source == edges["reduce/1/1"].target
    assert [node.channels for node in cell.nodes] == [96, 192, 192, 192, 192, 384, 384, 384, 384, 384]
    assert not edges["merge/1"].editable
    assert not edges["reduce/0/0"].editable


@st.composite
def strings(draw: st.DrawFn) -> str:
    layers = draw(st.integers(1, 7))
    rows = [[draw(st.integers(0, 5)), *(draw(st.integers(0, 1)) for _ in range(n))] for n in range(layers)]
    return draw(st.sampled_from([" ", "\n"])).join(" ".join(map(str, row)) for row in rows)


@given(strings())
@settings(max_examples=60, deadline=None)
def test_costs_are_exact(text: str) -> None:
    assert cost(read(text)) == by_hand(text, SMALL)


@given(strings(), st.integers(0, 2**32 - 1), st.sampled_from(["nat", "nat++"]))
@settings(max_examples=60, deadline=None)
def test_random_strings_and_their_transformations_round_trip(text: str, seed: int, rules: str) -> None:
    numpy = pytest.importorskip("numpy")
    network = read(text)
    assert ADAPTER.write(network) == text
    moves = Moves(network, find_rule(rules))
    moved = moves.apply(moves.sample(numpy.random.default_rng(seed)))
    written = read(ADAPTER.write(canonical(moved)))
    assert written == moved
    assert cost(written) == by_hand(ADAPTER.write(moved), SMALL)


def test_costs_are_those_of_the_built_network() -> None:
    torch = pytest.importorskip("torch")
    from nat_plugin.nets import build, count

    network = read("5  3 1  4 0 1  1 1 0 1  2 0 0 0 1  0 1 1 1 1 1")
    with torch.device("meta"):
        module = build(canonical(network))
    assert count(module, network.input) == cost(network)


def test_what_edges_may_become() -> None:
    network = read("0  1 1")
    moves = Moves(network, find_rule("nat++"))
    options = {network.edge(slot).key: moves.candidates[n] for n, slot in enumerate(moves.slots)}
    assert set(options["op/1"]) == {MACRO[1], MACRO[4], MACRO[5]}
    assert set(options["op/0"]) == {MACRO[0], MACRO[1], MACRO[4], MACRO[5]}
    assert set(options["skip/1/0"]) == {MERGE, NULL}
    assert [len(each) for each in Moves(network, find_rule("nat")).candidates] == [1, 1, 2]


def test_a_tensor_that_nobody_reads_is_not_reduced() -> None:
    with_skip, without = read("0  0 0  0 0 0  0 1 0 0"), read("0  0 0  0 0 0  0 0 0 0")
    assert cost(with_skip).params > cost(without).params
    assert cost(without) == by_hand("0  0 0  0 0 0  0 0 0 0", SMALL)


def test_null_ops_need_the_extended_form() -> None:
    wide = extended(read("0  1 1  2 0 1"))
    moved = wide.with_ops([NULL if wide.edge(slot).key == "op/2" else wide.edge(slot).op for slot in wide.slots])
    with pytest.raises(NATError, match=r"cannot represent 'null' \(op/2\); --extended"):
        ADAPTER.write(moved)
    assert cost(from_json(to_json(canonical(moved)))) == cost(moved)
    assert key(canonical(moved)) == key(moved)


def test_networks_from_elsewhere() -> None:
    network = read("0  1 1")
    with pytest.raises(NATError, match="that was read from one"):
        ADAPTER.write(replace(network, origin=None))
    assert network.origin is not None
    other = replace(network, origin=replace(network.origin, payload="0 1 1 0 0 0"))
    with pytest.raises(NATError, match="no edge 'op/2'"):
        ADAPTER.write(other)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the text has no integers"),
        ("0 1", "layer 1 has 1 integers instead of 2"),
        ("0 6 1", "layer 1: there is no op 6; allowed: 0 conv_3x3, 1 sep_conv_3x3"),
        ("0 1 2", "layer 1: a skip connection is 0 or 1, not 2"),
        ("0 1 x", "line 1: 'x' is not allowed"),
        ("[1", "']' is missing: unmatched bracket"),
        ("'0 1 0", '"\'" is missing: unmatched bracket'),
        ("0\n1 0]", "line 2: ']' is an unmatched bracket"),
        ("([0) 1 0]", "line 1: ')' is an unmatched bracket"),
        ("0 " * (65 * 66 // 2), "more than 64 layers"),
    ],
)
def test_mistakes_are_one_line_that_says_where(text: str, message: str) -> None:
    check_refused(ADAPTER, text, message)


def test_a_depth_other_than_that_of_the_string_is_refused() -> None:
    assert read("0 0 0", replace(SMALL, cells=2)) == read("0 0 0")
    with pytest.raises(NATError, match="a macro string says its own depth, here 2"):
        read("0 0 0", replace(SMALL, cells=20))
