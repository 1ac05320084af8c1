"""TransNAS-Bench-101 strings: all 4,096 cells, to the letter and the parameter, and one cell at two strides."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nat_nasbench import NB201Adapter, TransNASAdapter
from nat_nasbench.nb201 import from_digits
from nat_nasbench.transnas import SIZE, digits_of, from_ops

from benchmarks.data.archives import STEM_FLOPS, other_flops
from nat_plugin.errors import NATError
from nat_plugin.evaluators.table import TableSettings, read_table
from nat_plugin.ir import Moves, Network, NetworkSize, Op, canonical, cost, find_rule, from_json, key, layout, to_json
from nat_plugin.ir.costs import total_as_built
from nat_plugin.nets import Supernet, build, count
from nat_plugin.nets.paths import move_paths
from nat_plugin.plugins import plugins
from nat_plugin.writing import write_back

plugins()  # registers the ops
ADAPTER = TransNASAdapter()
EXAMPLE = "64-41414-1_02_333"
SMALL = NetworkSize(channels=8, input=(3, 32, 32), classes=7)
CELLS = st.text("0123", min_size=6, max_size=6)


def read(text: str, size: NetworkSize = SIZE) -> Network:
    return ADAPTER.read(text, size)


def test_reading_then_writing_changes_nothing() -> None:
    for digits in map("".join, product("0123", repeat=6)):
        network = read(from_ops(digits))
        assert ADAPTER.write(network) == from_ops(digits)
        assert digits_of(network) == digits
    for text in (f" '{EXAMPLE}'\n", "16-414-1_02_333", "8-1334-1_02_333"):
        assert ADAPTER.write(read(text)) == text
        moved = read(text).with_ops([Op.parse("skip")] * 6)
        assert ADAPTER.write(moved) == text.replace("1_02_333", "1_11_111")
    assert ADAPTER.natural_size(EXAMPLE) == SIZE


def test_costs_are_those_of_the_benchmark(shared_data: Path) -> None:
    """Dead operations counted, as there. Its FLOPs count two for every value of a norm, one for every value of an
    activation, and have eight digits."""
    table = read_table(TableSettings(path=shared_data / "transnas_micro.csv.gz"))
    assert (len(table), table.complete, table.network_size) == (4_096, True, SIZE)
    built = [total_as_built(network) for network in table.networks]
    assert (np.array([each.params for each in built]) == np.round(1e6 * table.metrics["params_M"])).all()
    for row in range(0, 4_096, 64):
        flops = 1e6 * table.metrics["flops_M"][row]
        assert built[row].macs + STEM_FLOPS + other_flops(table.networks[row]) == pytest.approx(flops, rel=1e-7)


@given(CELLS)
@settings(max_examples=15)
def test_costs_are_those_of_the_built_network(digits: str) -> None:
    network = read(from_ops(digits, "414"), SMALL)
    try:
        expected = cost(network)
    except NATError:
        return
    with torch.device("meta"):
        module = build(network)
    assert count(module, network.input) == expected


def test_it_halves_where_the_string_says() -> None:
    shapes = [placed.output for placed in layout(read(EXAMPLE)).placed]
    assert shapes == [(128, 32, 32)] * 4 + [(256, 16, 16)] * 4 + [(512, 8, 8)] * 2
    shapes = [placed.output for placed in layout(read("64-134-1_02_333")).placed]
    assert shapes == [(64, 64, 64)] * 2 + [(64, 32, 32)] * 2 + [(128, 16, 16)] * 2
    small = [placed.output for placed in layout(read("64-414-1_02_333", NetworkSize())).placed]
    assert small[0] == (128, 16, 16)


def test_a_skip_at_stride_two_has_weights_of_its_own() -> None:
    """At stride 1 both are twice the input; at stride 2 one is a factorized reduction twice, the other two of them."""
    once, both = "101011", "110011"
    at_one = [NB201Adapter().read(from_digits(digits), NetworkSize()) for digits in (once, both)]
    at_both = [read(from_ops(digits)) for digits in (once, both)]
    assert key(at_one[0]) == key(at_one[1])
    assert key(at_both[0]) != key(at_both[1])
    assert key(at_both[0]) != key(read(from_ops("000100")))
    assert key(read(from_ops("100010"))) == key(read(from_ops("000100")))


@given(CELLS, st.integers(0, 2**31))
@settings(max_examples=25)
def test_what_becomes_of_a_cell_is_written_and_read_again(digits: str, seed: int) -> None:
    network = read(from_ops(digits, "414"), SMALL)
    moves = Moves(network, find_rule("nat++"))
    found = canonical(moves.apply(moves.sample(np.random.default_rng(seed))))
    again = read(write_back(ADAPTER, moves, found, SMALL), SMALL)
    assert (key(again), cost(again)) == (key(found), cost(found))
    assert from_json(to_json(found)) == found


def test_a_supernet_computes_it_as_a_network_of_its_own_does() -> None:
    torch.manual_seed(0)
    network = read("8-414-3_12_301", SMALL)
    shared = Supernet(network, move_paths([network], find_rule("nat")))
    out = shared(torch.randn(4, 3, 32, 32), network)
    assert out.shape == (4, 7)
    assert torch.isfinite(out).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a TransNAS-Bench-101 string is 64-41414-1_02_333"),
        ("64-41414-1_02_334", "a TransNAS-Bench-101 string is"),
        ("64-41514-1_02_333", "a TransNAS-Bench-101 string is"),
        ("64-41414-basic", "a TransNAS-Bench-101 string is"),
        ("64-1234-1_02_333", "module 2 of TransNAS-Bench-101 (more channels at the same resolution) is not read"),
        ("0-414-1_02_333", "1 channel or more and up to 9 modules"),
        ("64-4141414141-1_02_333", "1 channel or more and up to 9 modules"),
        ("x" * 5000, "a TransNAS-Bench-101 string is"),
    ],
)
def test_what_is_no_such_string(text: str, message: str) -> None:
    assert not ADAPTER.recognises(text)
    with pytest.raises(NATError) as caught:
        read(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_the_size_or_the_format_cannot_say() -> None:
    assert ADAPTER.near("64-41414-1_02_334") is not None
    assert ADAPTER.near("64-2311-basic") is not None
    assert ADAPTER.near("a text") is None
    with pytest.raises(NATError, match="cells: the string has 5 modules of 2 cells; leave 'cells' out"):
        read(EXAMPLE, NetworkSize(cells=9))
    with pytest.raises(NATError, match="needs an even number, not 7"):
        read(EXAMPLE, NetworkSize(channels=7, input=(3, 256, 256)))
    with pytest.raises(NATError, match="it has no cell 'cell' of four nodes"):
        ADAPTER.write(plugins().adapters["nasbench-macro"].read("11111111", NetworkSize()))
    with pytest.raises(NATError, match="its cells stand elsewhere"):
        ADAPTER.write(NB201Adapter().read(from_digits("303101"), NetworkSize()))
    with pytest.raises(NATError, match=r"cannot represent 'avg_pool_3x3' \(0->1\)"):
        ADAPTER.write(NB201Adapter().read(from_digits("433333"), NetworkSize()))
